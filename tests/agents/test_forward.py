"""Forward passes over trees of tokens, against the model's own, on architectures that end in different ways."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from agentgym.agents import forward
from agentgym.agents.models import load
from agentgym.agents.policy import Policy
from agentgym.agents.render import ChatRenderer
from agentgym.memory.core import Segment, Turn

SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
SIDES = ("go to desk 1", "go to desk 2", "go", "look")


def turn(text: str) -> Turn:
    return Turn((Segment("user", text),), "find a mug", SIDES, episode=0, t=0, tokens=0)


def made(kind: str, size: int, **options: Any) -> Any:
    import transformers

    config = getattr(transformers, f"{kind}Config")(vocab_size=size, **SHAPE, **options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
        for p in model.parameters():
            p.data *= 4  # far from uniform, so that what is done to the logits counts
    return model


@pytest.mark.parametrize(
    ("kind", "options", "attention"),
    [
        ("Llama", {}, "sdpa"),
        ("Llama", {}, "eager"),
        ("Granite", {"logits_scaling": 8.0}, "sdpa"),
        ("Cohere", {"logit_scale": 0.06}, "sdpa"),
        ("Gemma2", {"head_dim": 16, "final_logit_softcapping": 0.5}, "eager"),
    ],
)
def test_a_choice_has_the_chances_that_the_model_itself_gives(
    small_chat: Path, kind: str, options: dict[str, Any], attention: str
) -> None:
    loaded = load(str(small_chat))
    model = made(kind, loaded.model.config.vocab_size, **options)
    model.set_attn_implementation(attention)
    forward.check(model, kind)
    policy = Policy(model, loaded.renderer, name=kind)
    policy.begin(0)
    view = turn("You are in a room.")
    [decision] = policy.act([view])
    prompt, totals = loaded.renderer.prompt(view), []
    replies = [loaded.renderer.reply(a) for a in SIDES]
    for reply in replies:
        said = (
            (*reply, loaded.renderer.stop) if any(o[: len(reply)] == reply and o != reply for o in replies) else reply
        )
        with torch.no_grad():
            logp = model(torch.tensor([[*prompt, *said]])).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
        totals.append(float(logp.gather(1, torch.tensor(said)[:, None]).sum()))
    wanted = torch.tensor(totals).log_softmax(-1).tolist()
    assert [c.logprob for c in decision.candidates] == pytest.approx(wanted, abs=1e-3)


def test_an_architecture_that_ends_otherwise_is_refused() -> None:
    model = made("Llama", 60)
    own: Callable[..., Any] = model.forward

    def louder(*args: Any, **kwargs: Any) -> Any:
        out = own(*args, **kwargs)
        out.logits = 3 * out.logits
        return out

    forward.check(model, "mine")
    model.forward = louder
    with pytest.raises(ValueError, match=r"model 'mine': its architecture \(llama\) does to its logits"):
        forward.check(model, "mine")


@pytest.mark.parametrize(
    ("kind", "options", "wanted"),
    [
        ("Llama", {}, 512),
        ("Mistral", {"sliding_window": 64}, 64),
        ("Mistral", {"sliding_window": None}, 512),
        ("Qwen2", {"sliding_window": 64, "use_sliding_window": False}, 512),
    ],
)
def test_a_model_reaches_as_far_as_its_positions_and_its_window(kind: str, options: Any, wanted: int) -> None:
    assert forward.reach(made(kind, 60, **options)) == wanted


def test_a_prompt_behind_the_models_reach_is_said_once(small_chat: Path) -> None:
    loaded = load(str(small_chat))
    policy = Policy(made("Llama", loaded.model.config.vocab_size), loaded.renderer, name="mine")
    policy.begin(0)
    with pytest.warns(UserWarning, match=r"mine reads \d+ tokens and was made for 512: .* take a shorter --memory"):
        policy.act([turn("You see " + "a mug, " * 100)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy.act([turn("You see " + "a mug, " * 100)])


def test_a_template_without_a_system_role_has_the_text_before_the_first_observation(small_chat: Path) -> None:
    tokenizer = load(str(small_chat)).tokenizer
    both = ChatRenderer(tokenizer, "act well")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    )
    read = both.decode(ChatRenderer(tokenizer, "act well").prompt(turn("You are in a room.")))
    assert "act well\n\nYou are in a room." in read and "system" not in read


def test_a_runs_directory_is_no_model_and_a_folder_that_is_not_here_is_said(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="run' is a run's directory: go on with it by --resume"):
        load(str(tmp_path / "run"))
    with pytest.raises(FileNotFoundError, match="typo': no such folder is here, and as a hub id it could not be read"):
        load(str(tmp_path / "typo"))
