// All that the console says, in both languages; a test holds their keys against each other.

export const WORDS = {
  en: {
    skip: "Skip to the content", language: "Language", signOut: "Sign out", contract: "The HTTP contract", loading: "Loading …",
    tiers: "Tiers", list: "List", customer: "Customer", model: "Model",
    signIn: "Sign in", key: "API key", keyHint: "Made by foretier keys create with the scopes read and lists. It stays in this tab only.",
    wrongKey: "This key is not valid, or no longer.", forbidden: "This key is not made for this page:", again: "Try again",
    busy: "The service is busy. Try again in {seconds} s.", unready: "The service is not ready:", unreachable: "The service does not answer. Is it running?",
    asOf: "As of {day}: what is expected in {days} days, until {end}, in {currency}", scored: "{count} customers, scored {day}, model version {version}",
    grade: "grade {grade}", customers: "customers", predictedValue: "Predicted value", valueAtRisk: "Value at risk", churnRisk: "Churn risk",
    meanRisk: "Mean churn risk", shareOfValue: "{share} of the value", tier: "Tier", movement: "From past spend to predicted value",
    movementHint: "Rows: tier by past spend. Columns: tier by predicted value. Above the diagonal are customers who are worth less than their past says, below it those who are worth more.",
    pastTier: "By past spend", up: "higher than by past spend", down: "lower than by past spend", same: "the same as by past spend",
    whom: "Whom to contact", filters: "Filters", allTiers: "All tiers", minRisk: "Least churn risk", minValue: "Least predicted value, {currency}",
    includeGone: "Include those already gone", capacity: "Contacts at most", capacityHint: "As many as you can call or write to",
    budget: "Budget per contact, {currency}", saveRate: "Save rate", saveRateHint: "Share of the leaving whom a contact keeps: your assumption",
    holdout: "Held out", holdoutHint: "Share that is not contacted, to measure the effect", contacts: "Contacts", heldOut: "{count} held out",
    saved: "Expected to be saved", savedCustomers: "{count} customers", inVain: "Contacted in vain", inVainHow: "{stay} would stay anyway, {leave} leave all the same",
    cost: "Cost", net: "Net value", leftOut: "Left out", nobodyLeftOut: "nobody", gone: "{count} already gone", below_min_value: "{count} below the least value",
    not_worth_the_budget: "{count} not worth the budget", contact_cap: "{count} contacted often enough", held_out: "{count} held out by a campaign", suppressed: "{count} suppressed",
    rank: "Rank", reasons: "Why", action: "What to do", lastOrder: "Last order", more: "Show more", shown: "{shown} of {total} shown",
    csv: "Download CSV", xlsx: "Download XLSX", nobody: "Nobody fits these filters.", downloaded: "{name} was downloaded.",
    saveCampaign: "Save as campaign", name: "Name", contactDay: "Contact from", save: "Save", campaignSaved: "{name}: {contacts} to contact, {heldOut} held out.",
    campaigns: "Campaigns", noCampaigns: "None was saved yet.", contactsCsv: "Contacts as CSV", contactsXlsx: "Contacts as XLSX",
    find: "Find", customerId: "Exact customer id", idHint: "Capitals and leading zeros count.", expectedIn: "expected in {days} days",
    interval: "between {low} and {high} with a probability of {level}", nextOrder: "Next order", nextOrderHint: "by the end of this day as likely as not",
    noNextOrder: "no day can be named", ifActive: "Value if active", ifActiveHint: "if the customer orders at all", atRiskHint: "value if active, times churn risk",
    orders: "Orders", ofEach: "of {value} each", uncertain: "uncertain", sinceDay: "since {day}", whyValue: "Why {value}", whyRisk: "Why a churn risk of {risk}",
    from: "from {start}, what is expected of an unknown customer", rest: "{count} smaller drivers", history: "Order history", historyHint: "The last {count} days with an order, net value of each",
    noHistory: "No order days are kept of this run.", day: "Day", amount: "Amount", stage: "Lifecycle stage", segment: "RFM segment", abc: "ABC class", spent: "spent {value} in total",
    points: "{count} points", comma: ",",
    gradeA: "Surely finds clearly more of the value and of the leaving than the best simple rule.", gradeB: "Surely finds more of both than the best simple rule.",
    gradeC: "Neither better nor worse than the best simple rule for sure.", gradeD: "Surely worse than the best simple rule at one of them.", notGraded: "This model was not graded.",
    modelIs: "Model version {version}: {days} days ahead, in {currency}", from_value: "From a predicted value of", theRest: "all others",
    calibration: "Calibration", calibrationHint: "Customers of the held-back window in tenths: what was said, and what came. On the line, both are the same.",
    calibrationValue: "Predicted value", calibrationRisk: "Churn risk", said: "Said", came: "Came", noCalibration: "No window could be held back: there is no calibration.", tenth: "Tenth",
    customer_not_found: "There is no customer of this id in the scoring run; capitals and leading zeros count.", not_found: "There is nothing at this address.",
    name_taken: "There is a campaign of this name already.", empty_list: "Nobody is on this list.", run_not_found: "The scoring run is no longer kept.",
    too_many_rows: "Too many customers for a workbook: take the CSV file.", campaign_not_found: "There is no such campaign.",
    stages: { new: "new", active: "active", dormant: "dormant", lost: "lost" }, bands: { high: "high", medium: "medium", low: "low" }, segments: {},
    channels: { person: "in person", phone: "phone", email: "e-mail", message: "message", app: "app", post: "post", none: "no contact" },
  },
  zh: {
    skip: "跳到正文", language: "语言", signOut: "退出", contract: "HTTP 接口说明", loading: "加载中…",
    tiers: "等级", list: "名单", customer: "客户", model: "模型",
    signIn: "登录", key: "API 密钥", keyHint: "由 foretier keys create 创建，需有 read 与 lists 权限；只保存在本标签页。",
    wrongKey: "密钥无效或已失效。", forbidden: "此密钥无权查看本页：", again: "重试",
    busy: "服务繁忙，请在 {seconds} 秒后重试。", unready: "服务尚未就绪：", unreachable: "服务没有响应，是否已启动？",
    asOf: "基准日 {day}：未来 {days} 天（至 {end}）的预期，币种 {currency}", scored: "{count} 位客户，评分于 {day}，模型版本 {version}",
    grade: "评级 {grade}", customers: "位客户", predictedValue: "预测价值", valueAtRisk: "风险价值", churnRisk: "流失风险",
    meanRisk: "平均流失风险", shareOfValue: "占价值 {share}", tier: "等级", movement: "从以往消费到预测价值",
    movementHint: "行：按以往消费的等级；列：按预测价值的等级。对角线上方的客户价值低于以往所示，下方的高于以往所示。",
    pastTier: "按以往消费", up: "高于按以往消费的等级", down: "低于按以往消费的等级", same: "与按以往消费的等级相同",
    whom: "联系谁", filters: "筛选", allTiers: "全部等级", minRisk: "流失风险下限", minValue: "预测价值下限，{currency}",
    includeGone: "包括已流失的客户", capacity: "触达人数上限", capacityHint: "您能致电或写信的人数",
    budget: "每次触达预算，{currency}", saveRate: "挽留率", saveRateHint: "触达能留住的将流失客户的比例：由您假设",
    holdout: "对照组", holdoutHint: "随机不触达的比例，用于衡量效果", contacts: "触达人数", heldOut: "对照组 {count} 人",
    saved: "预计挽回", savedCustomers: "{count} 位客户", inVain: "无效触达", inVainHow: "{stay} 人本来就会留下，{leave} 人仍会流失",
    cost: "成本", net: "净值", leftOut: "未列入", nobodyLeftOut: "无", gone: "已流失 {count} 人", below_min_value: "低于价值下限 {count} 人",
    not_worth_the_budget: "不值得预算 {count} 人", contact_cap: "已达触达上限 {count} 人", held_out: "活动对照组 {count} 人", suppressed: "免打扰 {count} 人",
    rank: "排名", reasons: "原因", action: "建议动作", lastOrder: "最近下单", more: "显示更多", shown: "已显示 {shown} / {total}",
    csv: "下载 CSV", xlsx: "下载 XLSX", nobody: "没有客户符合这些条件。", downloaded: "{name} 已下载。",
    saveCampaign: "保存为活动", name: "名称", contactDay: "触达起始日", save: "保存", campaignSaved: "{name}：触达 {contacts} 人，对照组 {heldOut} 人。",
    campaigns: "活动", noCampaigns: "尚未保存活动。", contactsCsv: "触达名单 CSV", contactsXlsx: "触达名单 XLSX",
    find: "查找", customerId: "客户编号（完全一致）", idHint: "区分大小写，保留前导零。", expectedIn: "未来 {days} 天预计",
    interval: "有 {level} 的概率在 {low} 与 {high} 之间", nextOrder: "下次下单", nextOrderHint: "到这一天结束时，下单与否可能性各半",
    noNextOrder: "无法给出日期", ifActive: "若活跃的价值", ifActiveHint: "若客户下单", atRiskHint: "若活跃的价值乘以流失风险",
    orders: "预计订单", ofEach: "每单 {value}", uncertain: "不确定", sinceDay: "自 {day} 起", whyValue: "为什么是 {value}", whyRisk: "为什么流失风险是 {risk}",
    from: "从 {start}（对未知客户的预期）出发", rest: "其余 {count} 个较小的驱动因素", history: "订单历史", historyHint: "最近 {count} 个下单日，每日净额",
    noHistory: "此批次未保存下单日。", day: "日期", amount: "金额", stage: "生命周期阶段", segment: "RFM 分群", abc: "ABC 类", spent: "累计消费 {value}",
    points: "{count} 个百分点", comma: "，",
    gradeA: "确定能比最好的简单规则多找出明显更多的价值与流失客户。", gradeB: "两方面都确定优于最好的简单规则。",
    gradeC: "与最好的简单规则相比，无法确定更好或更差。", gradeD: "至少一方面确定差于最好的简单规则。", notGraded: "此模型未评级。",
    modelIs: "模型版本 {version}：预测未来 {days} 天，币种 {currency}", from_value: "预测价值起点", theRest: "其余客户",
    calibration: "校准", calibrationHint: "留出期的客户按预测分为十组：预测值与实际值。落在线上即两者一致。",
    calibrationValue: "预测价值", calibrationRisk: "流失风险", said: "预测", came: "实际", noCalibration: "没有可留出的时间段，因此没有校准。", tenth: "十分组",
    customer_not_found: "该评分批次中没有此编号的客户；区分大小写，保留前导零。", not_found: "此地址没有内容。",
    name_taken: "已有同名活动。", empty_list: "名单上没有客户。", run_not_found: "该评分批次已不再保留。",
    too_many_rows: "客户太多，工作簿放不下，请下载 CSV。", campaign_not_found: "没有这个活动。",
    stages: { new: "新客", active: "活跃", dormant: "沉睡", lost: "已流失" }, bands: { high: "高", medium: "中", low: "低" },
    segments: {
      Lost: "已流失", Hibernating: "休眠", "At risk": "有流失风险", "Cannot lose them": "不能失去", "About to sleep": "即将沉睡",
      "Need attention": "需要关注", Promising: "有潜力", New: "新客户", "Potential loyalist": "潜在忠诚", Loyal: "忠诚", Champions: "冠军客户",
    },
    channels: { person: "当面", phone: "电话", email: "邮件", message: "短信", app: "应用推送", post: "信件", none: "不触达" },
  },
};

let language = "en";

/** Choose the language of everything that is said from now on. */
export function speak(chosen) {
  language = Object.hasOwn(WORDS, chosen) ? chosen : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
}

export const spoken = () => language;

/** Say a word; `{name}` in it is filled in. */
export function word(name, filled = {}) {
  return WORDS[language][name].replace(/\{(\w+)\}/g, (_, part) => String(filled[part]));
}

/** Say a code of ours; one that is not ours stays as it is. */
export const coded = (kind, code) => (Object.hasOwn(WORDS[language][kind], code) ? WORDS[language][kind][code] : code);

export const hasWord = (name) => Object.hasOwn(WORDS[language], name);

const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

export const whole = (value) => new Intl.NumberFormat(locale(), { maximumFractionDigits: 0 }).format(value);
export const tenths = (value) => new Intl.NumberFormat(locale(), { maximumFractionDigits: 1, signDisplay: "negative" }).format(value);
export const percent = (share) => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(share);

/** Money with its code: cents below ten only, as the reports write it. */
export function money(value, currency) {
  const digits = Math.abs(value) < 10 && Math.round(value * 100) % 100 !== 0 ? 2 : 0;
  const number = new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" });
  return `${number.format(value)} ${currency}`;
}

/** A day (2011-05-01) as people of the language write it. */
export function day(text) {
  const [year, month, date] = text.slice(0, 10).split("-").map(Number);
  const style = { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat(locale(), style).format(new Date(Date.UTC(year, month - 1, date)));
}
