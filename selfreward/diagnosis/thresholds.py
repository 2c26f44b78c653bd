"""Where each figure deserves a look. No limit proves a failure; beyond it, somebody should read some responses.

What has no source is a rule of thumb: set where our own small runs and the cited papers begin to look odd.
"""

MIN_RESPONSES = 20
"""Fewer responses or verdicts say too little for a flag. A rule of thumb: a share of 20 has a standard error of 0.1."""
MIN_PAIRS = 10
"""Fewer pairs say too little for a flag. A rule of thumb; the demo's iterations have 15 to 20."""

LENGTH_GROWTH = 1.25
"""Mean length against the iteration before. The paper's own models grow by 1.42 and 1.64 (1092, 1552, 2552 on
average: Yuan et al. 2024, arXiv 2401.10020), and it names length a limitation. A rule of thumb."""
LONGER_CHOSEN = 0.65
"""Share of pairs whose longer response is chosen. A rule of thumb: people prefer longer answers too, so a half is too
strict."""
CHOSEN_LONGER_BY = 0.15
"""Mean of chosen minus rejected, as a share of the mean length. A rule of thumb."""
SCORE_LENGTH = 0.4
"""Correlation of score and length. A rule of thumb: from there on length explains a sixth of all variance of scores."""
TRUNCATED = 0.1
"""Share of responses cut off at the limit: they are never trained on, so the longest answers go missing. A rule of
thumb."""

SCORE_ENTROPY = 0.75
"""Bits in the histogram of whole scores; six equally frequent ones have 2.58. A rule of thumb: below it, four of five
responses have the same score."""
ENTROPY_FALL = 0.7
"""The same against the iteration before. A rule of thumb."""
TOP_SHARE = 0.5
"""Share of verdicts with the scale's highest score. A rule of thumb: half of all responses cannot be told apart."""
TIES = 0.5
"""Share of two responses to the same prompt with equal scores. A rule of thumb; ties give no pair."""
PAIRS_PER_PROMPT = 0.5
"""The paper gets 3,964 pairs and then 6,942; it does not say of how many prompts. A rule of thumb."""
YIELD_FALL = 0.7
"""Pairs a prompt against the iteration before. A rule of thumb."""

UNREADABLE = 0.1
"""Share of verdicts without a score. A rule of thumb."""
ACCURACY = 0.5
"""What a coin gets right on held-out pairs. The lower end of the 95% interval has to be above it."""
OVER_LENGTH = 0.0
"""Held-out accuracy minus that of a judge that only looks at length. Below it, counting characters would do better."""
ACCURACY_FALL = -0.05
"""Held-out accuracy minus that of the iteration before. In the paper it rises: 65.1, 78.7, 80.4, 81.7. A rule of
thumb."""
AGREEMENT = 0.7
"""Share of held-out pairs that two iterations' judges put in the same order. A rule of thumb: Wang et al. 2024 (CREAM,
arXiv 2410.12735) take low agreement of successive models as the sign of an unreliable reward."""

FLIPS = 0.5
"""Share of comparisons whose verdict flips with the order. GPT-4 keeps its verdict in 65%, GPT-3.5 in 46%
(Zheng et al. 2023, arXiv 2306.05685, table 2). Above a half, places decide more than responses."""

HIGHER_SCORE_WINS = 0.7
"""Of two judgments with different scores, how often the higher one wins. In Meta-Rewarding the meta-judge prefers the
higher score, and the judge's scores move towards the top (Wu et al. 2024, arXiv 2407.19594). A rule of thumb."""

SIMILARITY = 0.7
"""Mean ROUGE-L F1 of chosen and rejected, in tokens. Self-Instruct takes prompts above 0.7 for the same (Wang et al.
2022, arXiv 2212.10560); pairs that differ so little also make DPO lower both (Pal et al. 2024, arXiv 2402.13228)."""
MARGIN_FALL = 0.6
"""Mean score margin against the iteration before. A rule of thumb."""
UNLEARNED_LOSS = 0.68
"""DPO starts at ln 2 = 0.693, where policy and reference say the same; a last quarter above this learned next to
nothing. A rule of thumb."""

CHOSEN_REWARD = -0.5
"""Mean rewards/chosen of the last quarter of steps: beta times how much likelier the policy makes chosen responses than
the reference does. Below zero they became less likely (likelihood displacement: Razin et al. 2024, arXiv 2410.08847);
-0.5 is 5 nats a response at beta 0.1. A rule of thumb."""
CHOSEN_SINKS = 1.1
"""Mean logps/chosen of the last quarter against the first, for objectives without a reference model: both are below
zero, so a higher ratio means less likely. A rule of thumb; the two quarters see other responses."""
REWARD_MARGIN = 0.02
"""Mean rewards/margins of the last quarter; without a reference model, how much higher it is than that of the first. At
zero, chosen and rejected are as likely as before. A rule of thumb."""
REWARD_ACCURACY = 0.55
"""Mean rewards/accuracies of the last quarter: share of pairs whose chosen side gained on the other. A rule of
thumb."""

WINDOW = 1000
"""Words a window for distinct-n (a fixed number, since the share of new word pairs falls with the length of a text)."""
DISTINCT = 0.6
"""Different word pairs of all, in windows of WINDOW words. It is 0.91 for the prompts and 0.80 for the answers of Open
Assistant's ranked data, 0.82 for Self-Instruct's seed tasks, and 0.67 for prompts that a 7B model wrote."""
DISTINCT_FALL = 0.9
"""The same against the iteration before. A rule of thumb."""
NEAR_DUPLICATE = 0.5
"""ROUGE-L F1 above which a prompt nearly repeats an earlier one; what is above 0.7 was dropped when prompts were
written. A rule of thumb."""
NEAR_DUPLICATES = 0.2
"""Share of such prompts. It is 0.20 of 1,000 prompts that a 7B model wrote, before any filter."""
PROMPTS_COMPARED = 5000
"""Most prompts compared with each other, the first ones: what bounds time and memory."""
SAME_TEXT = 0.2
"""Share of responses that repeat another candidate of their prompt word for word. A rule of thumb."""

FLAGGED_CHOSEN = 0.05
"""Share of chosen responses in which something that tries to steer a judge was found. Above the share of ordinary
answers in which it is found by mistake (docs/judging.md)."""
FLAGGED_WINS = 0.6
"""Of pairs with such a response on one side, the share that it wins. A rule of thumb: it should not help."""
