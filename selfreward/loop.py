"""The algorithm, top to bottom (Self-Rewarding Language Models, Yuan et al. 2024, arXiv 2401.10020).

Every step is stored, and skipped where it is finished, so that the same command goes on where it stopped.
"""

from selfreward import steps
from selfreward.config import RunConfig
from selfreward.progress import Reporter
from selfreward.session import Policy, Session
from selfreward.storage.run import RunStore, lock_run


def run(config: RunConfig, reporter: Reporter | None = None) -> RunStore:
    """Do the run that the config describes, or what is left of it.

    Raises:
        SelfRewardError: something that the user can mend; what was finished is kept.
    """
    steps.read_seeds(config)  # bad rows stop the run before anything is made or loaded
    steps.heldout_rows(config)
    steps.comparison_prompts(config)
    reporter = reporter or Reporter()
    for notice in (*steps.seed_notices(config), *steps.training_notices(config)):
        reporter.say(notice)
    with lock_run(config.run_dir):
        store = RunStore.create(config.run_dir)
        store.sweep()
        if not store.has_config():
            store.save_config(config)
        session = Session(config, store, reporter)
        try:
            self_rewarding(session)
        finally:
            session.close()
    return store


def self_rewarding(s: Session) -> Policy:
    """M0 -> M1 on the seeds, then M_t -> M_{t+1} on what M_t wrote and judged itself."""
    s.events.write("run_started", iterations=s.config.iterations)
    steps.check_model(s)  # what cannot work is said before hours of work, not after
    policy = supervised_fine_tuning(s)
    for t in range(1, s.config.iterations + 1):
        policy = self_reward(s, t, policy)
    s.events.write("run_finished", model=policy.label)
    return policy


def supervised_fine_tuning(s: Session) -> Policy:
    """Iteration 0: M0 -> M1. Without seeds, or where the recipe says so, M1 is M0."""
    it = steps.begin_iteration(s, 0)
    if it.taken_over:
        return steps.trained_policy(it)
    ift, eft = steps.store_seeds(s, it)
    if s.config.sft.enabled and (ift or eft):
        policy = steps.train_sft(s, it, steps.build_examples(s, it, ift, eft))
    else:
        policy = steps.skip_sft(it)
    steps.finish_iteration(s, it)
    return policy


def self_reward(s: Session, t: int, policy: Policy) -> Policy:
    """Iteration t: M_t writes prompts, answers each N times, judges its answers, and is trained on the pairs.

    Where the recipe says so it judges its judgments too (Meta-Rewarding), which gives pairs of them.
    """
    it = steps.begin_iteration(s, t)
    if it.taken_over:  # by a fork, whose own settings may ask for stages that it never had
        return steps.trained_policy(it)
    prompts = steps.write_prompts(s, it, policy)
    responses = steps.write_responses(s, it, policy, prompts)
    steps.check_gates(s, it, "responses")
    judgments = steps.judge_responses(s, it, policy, prompts, responses)
    steps.measure_judge(s, it, policy)
    steps.check_gates(s, it, "judgments")
    comparisons = steps.compare_judgments(s, it, policy, prompts, responses, judgments)
    asked = steps.ask_for_rule(s, it, policy, prompts, responses)
    pairs = steps.build_pairs(s, it, prompts, responses, judgments, asked)
    steps.check_gates(s, it, "pairs")
    judgment_pairs = steps.build_judgment_pairs(s, it, prompts, responses, judgments, comparisons, pairs)
    trained = steps.train(s, it, policy, pairs, judgment_pairs)
    steps.compare_models(s, it, policy, trained)
    steps.finish_iteration(s, it)
    return trained
