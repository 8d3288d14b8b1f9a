"""`agentgym words`: a world's words as tokens, of one agent or of a team."""

from __future__ import annotations

from pathlib import Path

import pytest
from agentgym.agents import tiny
from agentgym.agents.tokenizer import words
from agentgym.envs import make_single
from agentgym.training.student import Student
from agentgym.training.words import grow


@pytest.mark.parametrize("env", ["device", "babyai"])
def test_a_world_is_read_in_a_third_of_the_tokens_and_its_goals_word_by_word(env: str, tmp_path: Path) -> None:
    pytest.importorskip("minigrid" if env == "babyai" else "torch")
    kwargs = {"level": {"device": "L0", "babyai": "goto"}[env]}
    grow(env, tmp_path / "model", kwargs)
    base, grown = Student.of("tiny"), Student.of(str(tmp_path / "model"))
    world = make_single(env, **kwargs)
    few = many = 0
    for task in world.tasks("test")[:5]:
        seen, info = world.reset(options={"task": task})
        few, many = few + grown.count(seen), many + base.count(seen)
        assert grown.count(info["goal"]) <= len(words(" " + info["goal"]))
        assert grown.renderer.decode(list(grown.renderer.reply(seen))) == seen
    assert 2.5 * few < many
    known = "Your task is to put a mug in a desk 1."
    assert grown.renderer.reply(known) == base.renderer.reply(known)


def test_weights_that_are_written_again_are_the_old_ones_until_they_are_the_new(
    small_tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tok = tiny.load(small_tiny)
    tiny.save(model, tok, tmp_path / "base")
    before = {f.name: f.read_bytes() for f in (tmp_path / "base").iterdir()}
    for p in model.parameters():
        p.data += 1

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(type(tok), "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            tiny.save(model, tok, tmp_path / "base")
    assert {f.name: f.read_bytes() for f in (tmp_path / "base").iterdir()} == before
    tiny.save(model, tok, tmp_path / "base")
    assert (tmp_path / "base" / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert [f.name for f in tmp_path.iterdir()] == ["base"]
