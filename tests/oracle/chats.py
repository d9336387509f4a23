"""Conversations, tokenizer folders and the tool that the tests of chats share."""
import json
import os
import subprocess

import tokenizers

TOOL = os.path.join(os.environ.get("RIALTO_BIN", ""), "chat_tool")
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
CLOCK = 1700000000
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "the weather in a place", "parameters": {
    "type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer", "description": "how \"many\", é"}, "units": {"enum": ["c", "f"]},
        "tags": {"type": "array", "items": {"type": "string"}}, "any": {"type": ["string", "null"]}}, "required": ["city"]}}}]
DOCUMENTS = [{"title": "one é", "text": "first\ntext"}, {"title": "two", "text": "", "rank": 2}]
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {
    "city": "Zürich", "days": 2, "x": [1.5, None, True, -0.0, 1e20, "it's"]}}}
WORDS = ["hello", " ", "\n", "\n\n", "naïve", "漢字", "🙂", "<think>", "</think>", "{{ x }}", "'", '"', "\\", "  two", "1.5", "\t", "im_end", "&<>", "e\u0301", "\x1c", "/think"]


def ask(*requests):
    """The tool's answers."""
    done = subprocess.run([TOOL], input=json.dumps(requests), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def words(draw):
    return "".join(draw.choice(WORDS) for _ in range(draw.randint(1, 12)))


def chats(draw, count):
    """Turns in order, with tools and thoughts; every tenth has content in parts, is out of order or ends with a question."""
    for number in range(count):
        chat = [{"role": "system", "content": words(draw)}] if draw.random() < 0.4 else []
        for _ in range(draw.randint(1, 4)):
            chat.append({"role": "user", "content": words(draw)})
            answer = {"role": "assistant", "content": words(draw)}
            if draw.random() < 0.2:
                answer[draw.choice(["reasoning_content", "reasoning", "thinking"])] = words(draw)
            if draw.random() < 0.2:
                chat += [{"role": "assistant", "content": draw.choice(["", None]), "tool_calls": [CALL]},
                         {"role": "tool", "name": "weather", "content": words(draw), "tool_call_id": "abcdefghi"}]
            chat.append(answer)
        if number % 10 == 7:
            chat[draw.randrange(len(chat))]["content"] = [{"type": "text", "text": words(draw)}, {"type": "image"}]
        if number % 10 == 8:
            draw.shuffle(chat)
        if number % 10 == 9:
            chat.pop()
        yield chat


def train_tokenizer():
    """Bytes as tokens, some pairs merged, special tokens of several templates."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|assistant|>", "<|eot_id|>", "<|end|>"]
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=special, vocab_size=400, show_progress=False,
                                             initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(["hello world naïve role user assistant system weather content think"] * 9, trainer)
    tokenizer.add_tokens(["<think>", "</think>"])
    return tokenizer


def write_folder(path, template, tokenizer):
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **SPECIAL}))
    (path / "chat_template.jinja").write_text(template)
    return path
