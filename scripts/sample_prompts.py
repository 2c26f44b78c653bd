"""A random sample of raw prompts after cleaning and filtering, to be read by a person.

python scripts/sample_prompts.py RAW.jsonl [--known SEEDS.jsonl] [--count 200] [--seed 0] [--language en]
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path

from selfreward.stages.prompt_cleaning import clean
from selfreward.stages.prompt_filters import FilterConfig, PromptFilter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path, help="JSONL with a field `prompt`")
    parser.add_argument("--known", type=Path, help="JSONL with a field `instruction`, not to be written again")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--language", default="en")
    options = parser.parse_args()
    config = FilterConfig.model_validate({"language": options.language})
    texts = [clean(text, config.language) for text in _field(options.raw, "prompt")]
    known = _field(options.known, "instruction") if options.known else []
    reasons = PromptFilter(config, known).drop_reasons(texts)
    print(json.dumps(Counter(reason or "kept" for reason in reasons)))
    kept = [line for line, reason in enumerate(reasons, 1) if reason is None]
    for line in sorted(random.Random(options.seed).sample(kept, min(options.count, len(kept)))):
        print(f"\n--- line {line}\n{texts[line - 1]}")


def _field(path: Path, name: str) -> list[str]:
    return [json.loads(line)[name] for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
