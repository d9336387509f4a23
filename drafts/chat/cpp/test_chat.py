"""Chat templates, and what of a chat is trained, against transformers, live."""
import json
import random

import pytest
import tokenizers

from chat_templates import TEMPLATES
from megatron_data import ask
from programs import refused, rialto, rialto_json

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "the weather in a place", "parameters": {
    "type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer", "description": "how \"many\", é"}, "units": {"enum": ["c", "f"]},
        "tags": {"type": "array", "items": {"type": "string"}}, "any": {"type": ["string", "null"]}}, "required": ["city"]}}}]
WORDS = ["hello", " ", "\n", "\n\n", "naïve", "漢字", "🙂", "<think>", "</think>", "{{ x }}", "'", '"', "\\", "  two", "1.5", "\t", "<|im_end|>", "&<>", "e\u0301"]


def words(draw):
    return "".join(draw.choice(WORDS) for _ in range(draw.randint(1, 12)))


def chats(draw, count):
    """Turns in order, and some that no template allows."""
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 2, "x": [1.5, None, True, -0.0, 1e20]}}}
    for number in range(count):
        chat = [{"role": "system", "content": words(draw)}] if draw.random() < 0.4 else []
        for _ in range(draw.randint(1, 4)):
            chat.append({"role": "user", "content": words(draw)})
            answer = {"role": "assistant", "content": words(draw)}
            if draw.random() < 0.2:
                answer[draw.choice(["reasoning_content", "reasoning", "thinking"])] = words(draw)
            if draw.random() < 0.2:
                chat += [{"role": "assistant", "content": draw.choice(["", None]), "tool_calls": [call]},
                         {"role": "tool", "name": "weather", "content": words(draw), "tool_call_id": "abcdefghi"}]
            chat.append(answer)
        if number % 10 == 7:
            chat[draw.randrange(len(chat))]["content"] = [{"type": "text", "text": words(draw)}, {"type": "image"}]
        if number % 10 == 8:
            draw.shuffle(chat)
        if number % 10 == 9:
            chat.pop()
        yield chat


def folder_of(path, template):
    """A tokenizer folder: bytes as tokens, some pairs merged, special tokens."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|assistant|>"], vocab_size=400, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(["hello world naïve role user assistant system weather content"] * 9, trainer)
    path.mkdir(exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL}))
    (path / "chat_template.jinja").write_text(template)
    return path


def theirs(loaded, chat, **options):
    try:
        return loaded.apply_chat_template(chat, **options)
    except Exception as error:   # whatever a template or Python finds wrong
        return error


@pytest.mark.parametrize("name", TEMPLATES)
def test_text_and_masks_are_transformers(name, tmp_path, seed, full):
    """Text for text and token for token; what transformers refuses is refused."""
    from transformers import AutoTokenizer
    folder = folder_of(tmp_path / "tok", TEMPLATES[name])
    loaded = AutoTokenizer.from_pretrained(folder)
    draw = random.Random(f"{name} {seed}")
    marked, requests, want = "{% generation %}" in TEMPLATES[name] or "{%- generation -%}" in TEMPLATES[name], [], []
    for chat in chats(draw, 60 if full else 30):
        options = {"tools": draw.choice([None, TOOLS]), "add_generation_prompt": draw.random() < 0.3}
        variables = {"enable_thinking": False} if draw.random() < 0.3 else {}
        requests.append({"do": "render", "path": str(folder), "messages": chat, "variables": variables, **options})
        want.append((theirs(loaded, chat, tokenize=False, **options, **variables), chat, options, variables))
    refusals = spans = 0
    for got, (text, chat, options, variables), request in zip(ask(*requests), want, requests):
        if isinstance(text, Exception):
            assert "error" in got, (chat, text)
            refusals += 1
            continue
        assert got.get("text") == text, (chat, got)
        if not marked or options["add_generation_prompt"]:
            continue
        both = loaded.apply_chat_template(chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **options, **variables)
        [ours] = ask({"do": "chat", "path": str(folder), "row": {"messages": chat, "tools": options["tools"], "chat_template_kwargs": variables}, "loss": "assistant"})
        if not any(both["assistant_masks"]):
            assert "nothing in it is trained" in ours["error"]
            continue
        assert ours["ids"] == both["input_ids"] and ours["trained"] == both["assistant_masks"], chat
        spans += 1
    assert refusals < len(requests) and (spans > 0 or not marked)


def test_a_fixed_clock(tmp_path):
    import datetime
    folder = folder_of(tmp_path / "tok", "{{ strftime_now('%d %b %Y, %H:%M %j %A') }}")
    now = 1700000000
    [got] = ask({"do": "render", "path": str(folder), "messages": [{"role": "user", "content": "x"}], "now": now})
    assert got["text"] == datetime.datetime.fromtimestamp(now).strftime("%d %b %Y, %H:%M %j %A")


def test_inferred_turns_are_the_marked_ones(tmp_path, seed):
    """The same template with and without markers: what is inferred is what would have been marked."""
    marked = ("{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>{% generation %}{{ m.content }}</s>{% endgeneration %}"
              "{% else %}<s>{{ m.role }}: {{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}")
    plain = marked.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    folders = [folder_of(tmp_path / "marked", marked), folder_of(tmp_path / "plain", plain)]
    draw = random.Random(seed)
    for loss in ("assistant", "last_turn", "full"):
        for chat in chats(draw, 7):
            chat = [{"role": turn["role"], "content": turn["content"] or "-"} for turn in chat if turn["role"] != "tool" and not turn.get("tool_calls")]
            a, b = ask(*({"do": "chat", "path": str(folder), "row": {"messages": chat}, "loss": loss} for folder in folders))
            assert "error" not in a and a == b, (a, b)
            assert sum(a["trained"]) == len(a["ids"]) if loss == "full" else 0 < sum(a["trained"]) < len(a["ids"])


def test_rows_in_every_form_are_the_same_chat(tmp_path):
    folder = folder_of(tmp_path / "tok", TEMPLATES["marked"])
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    rows = [{"messages": messages}, {"conversation": messages}, {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            {"prompt": "q", "completion": "a"}, {"input": "q", "output": "a"}, {"prompt": messages[:1], "completion": messages[1:]}]
    answers = ask(*({"do": "chat", "path": str(folder), "row": row, "loss": "assistant"} for row in rows))
    assert "error" not in answers[0] and all(answer == answers[0] for answer in answers)


def test_view_and_check(tmp_path):
    folder = folder_of(tmp_path / "tok", TEMPLATES["chatml"])
    good = [{"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "hello 🙂"}]} for i in range(3)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in good))
    shown = rialto("data", "view", path, "--tokenizer", folder, "--first", 1, "--rows", 1).stdout
    assert f"{path}:2: " in shown and "<|im_start|>assistant\n«hello 🙂<|im_end|>\n»" in shown and "q2" not in shown
    assert rialto_json("data", "check", path, "--tokenizer", folder)["rows"] == 3

    bad = [good[0], {"messages": [{"role": "user", "content": "only"}]}, {"messages": 3}, {"x": 1}, good[0], {"messages": [{"content": "?"}]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in bad) + "{\n")
    done = rialto("data", "check", path, "--tokenizer", folder, "--seq-length", 20, "--json", exit_code=4)
    report = json.loads(done.stdout)
    assert report["rows"] == 7 and report["bad"] == 5 and report["duplicates"] == 1 and report["too_long"] == 2
    for line in (2, 3, 4, 6, 7):
        assert any(f"rows.jsonl:{line}" in fault for fault in report["faults"]), line
    refused(rialto("data", "view", path, "--tokenizer", folder, exit_code=3), "rows.jsonl:2", "nothing in it is trained")
    (folder / "chat_template.jinja").unlink()
    refused(rialto("data", "view", path, "--tokenizer", folder, exit_code=3), "no chat template")
