"""Chat templates against transformers, live: the text, and what the template marks as generated."""
import datetime
import random

import pytest
from transformers.utils import chat_template_utils

import chats
from chat_templates import TEMPLATES


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.utcfromtimestamp(chats.CLOCK)


@pytest.fixture(scope="module", autouse=True)
def fixed_clock():
    """transformers' templates see the clock that ours are given."""
    plain = chat_template_utils.datetime
    chat_template_utils.datetime = FixedClock
    yield
    chat_template_utils.datetime = plain


@pytest.fixture(scope="module")
def tokenizer():
    return chats.train_tokenizer()


def requests_for(name, seed, count):
    draw = random.Random(f"{name} {seed}")
    for chat in chats.chats(draw, count):
        yield {"messages": chat, "tools": draw.choice([None, chats.TOOLS]), "documents": draw.choice([None, chats.DOCUMENTS]),
               "add_generation_prompt": draw.random() < 0.3, "variables": {"enable_thinking": False} if draw.random() < 0.3 else {}}


def theirs(template, request):
    """Text and spans in bytes, or what transformers or the template finds wrong."""
    options = {key: request[key] for key in ("tools", "documents", "add_generation_prompt")}
    messages = [{key: value for key, value in message.items() if value is not None} for message in request["messages"]]
    try:
        [text], [spans] = chat_template_utils.render_jinja_template(
            [messages], chat_template=template, return_assistant_tokens_mask=True, **options, **chats.SPECIAL, **request["variables"])
    except Exception as error:   # of a template, of Jinja2, of Python
        return error
    at = [0]
    for character in text:
        at.append(at[-1] + len(character.encode()))
    return {"text": text, "spans": [[at[first], at[last]] for first, last in spans]}


@pytest.mark.parametrize("name", TEMPLATES)
def test_text_and_marks_are_transformers(name, tokenizer, tmp_path, seed, full):
    """Byte for byte; what transformers refuses is refused."""
    folder = chats.write_folder(tmp_path / "tok", TEMPLATES[name], tokenizer)
    requests = list(requests_for(name, seed, 300 if full else 30))
    got = chats.ask(*({"do": "render", "path": str(folder), "now": chats.CLOCK, **request} for request in requests))
    refusals = marks = 0
    for ours, request in zip(got, requests):
        want = theirs(TEMPLATES[name], request)
        if isinstance(want, Exception):
            assert "error" in ours, (request, want)
            refusals += 1
            continue
        assert ours == want, request
        marks += len(want["spans"])
    assert refusals < len(requests) * 2 / 3
    assert marks > 0 or "generation" not in TEMPLATES[name].replace("add_generation", "")


def test_special_tokens_and_places_are_the_python_packages(tokenizer, tmp_path, seed):
    folder = chats.write_folder(tmp_path / "tok", "x", tokenizer)
    assert chats.ask({"do": "special", "path": str(folder)})[0][:2] == ["<s>", "</s>"]
    assert "<think>" not in chats.ask({"do": "special", "path": str(folder)})[0]
    draw = random.Random(seed)
    texts = [chats.words(draw) + "<|im_end|>" + chats.words(draw) for _ in range(50)]
    for text, ours in zip(texts, chats.ask(*({"do": "places", "path": str(folder), "text": text} for text in texts))):
        want = tokenizer.encode(text, add_special_tokens=False)
        assert ours["ids"] == want.ids
        assert [[len(text[:a].encode()), len(text[:b].encode())] for a, b in want.offsets] == ours["places"]
