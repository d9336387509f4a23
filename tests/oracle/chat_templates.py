"""Chat templates in the shapes that are published, written for these tests. Each says what it uses; where the shape is
of a family, its name stands there. `{% generation %}` stands in those that mark what the assistant says."""

# loops, index and attribute access, whitespace control on both sides, generation prompt
CHATML = r"""{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\n' + message.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""

# Zephyr: lines of their own (trim_blocks, lstrip_blocks), elif, loop.last, filters behind a pipe, markers on lines
ZEPHYR = r"""{% for message in messages %}
    {% if message.role == 'assistant' %}
<|assistant|>
        {% generation %}
{{ message.content | trim }}{{ eos_token }}
        {% endgeneration %}
    {% elif message.role == 'system' %}
<|system|>
{{ message.content }}
    {% else %}
<|{{ message.role }}|>
{{ message.content }}
    {% endif %}
    {% if loop.last and add_generation_prompt %}
<|assistant|>
    {% endif %}
{% endfor %}
"""

# Llama 2: slices, set in both branches, raise_exception on the order of turns, strip, modulo, markers with minus signs
LLAMA2 = r"""{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set rules = '<<SYS>>\n' ~ messages[0].content ~ '\n<</SYS>>\n\n' %}{% else %}{% set rest = messages %}{% set rules = '' %}{% endif %}
{%- for turn in rest -%}
    {%- if (turn.role == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('turns of user and assistant must alternate') }}{%- endif -%}
    {%- if turn.role == 'user' -%}
        {{ bos_token ~ '[INST] ' ~ (rules if loop.first else '') ~ turn.content.strip() ~ ' [/INST]' }}
    {%- elif turn.role == 'assistant' -%}
        {%- generation -%}{{ ' ' ~ turn.content.strip() ~ ' ' ~ eos_token }}{%- endgeneration -%}
    {%- endif -%}
{%- endfor -%}"""

# Llama 3: "is defined" with defaults, strftime_now, tools with tojson(indent=4), a variable that hides an outer one
LLAMA3 = r"""{{- bos_token }}
{%- if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') if strftime_now is defined else 'long ago' %}{% endif %}
{%- set first = messages[0] %}
{%- if first['role'] == 'system' %}{% set messages = messages[1:] %}{% set rules = first['content'] | trim %}{% else %}{% set rules = '' %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' }}
{%- if tools is not none and not tools_in_user_message | default(false) %}
    {{- 'Functions:\n\n' }}
    {%- for t in tools %}{{- t | tojson(indent=4) }}{{- '\n\n' }}{%- endfor %}
{%- endif %}
{{- rules + '<|eot_id|>' }}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- if message.tool_calls | length != 1 %}{{- raise_exception('one call at a time, please') }}{%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
        {%- generation %}{{- '{"name": "' + call.name + '", "parameters": ' + (call.arguments | tojson) + '}<|eot_id|>' }}{% endgeneration %}
    {%- elif message.role in ['tool', 'ipython'] %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\n\n' }}
        {{- message.content | tojson if message.content is mapping or message.content is iterable else message.content }}
        {{- '<|eot_id|>' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
        {%- generation %}{{- message.content | trim }}<|eot_id|>{% endgeneration %}
    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}
"""

# Qwen 3: namespace changed in a loop, a reversed slice, startswith and endswith, split with an index behind it, lstrip
# and rstrip with characters, neighbours by index, enable_thinking
QWEN3 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' + (messages[0].content + '\n\n' if messages[0].role == 'system' else '') + '# Tools\n<tools>' }}
    {%- for tool in tools %}{{- '\n' ~ (tool | tojson) }}{%- endfor %}
    {{- '\n</tools><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set seen = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set at = messages|length - 1 - loop.index0 %}
    {%- if seen.searching and message.role == 'user' and message.content is string and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set seen.searching = false %}{%- set seen.last = at %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' ~ message.role ~ '\n' ~ content ~ '<|im_end|>\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- generation %}
        {%- if loop.index0 > seen.last and (loop.last or thought) %}
            {{- '<think>\n' ~ thought.strip('\n') ~ '\n</think>\n\n' ~ content.lstrip('\n') }}
        {%- else %}
            {{- content }}
        {%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- if content or not loop.first %}{{- '\n' }}{% endif %}
            {%- set call = call.function if call.function else call %}
            {{- '<tool_call>\n{"name": "' ~ call.name ~ '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
        {%- endgeneration %}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{% endif %}
        {{- '\n<tool_response>\n' ~ content ~ '\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\n' }}{% endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{% endif %}
{%- endif %}
"""

# Gemma: content that is a list of parts, nested loops, tests on types, a role that goes by another name
GEMMA = r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set lead = (messages[0]['content'] if messages[0]['content'] is string else messages[0]['content'][0]['text']) + '\n\n' -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set lead, turns = '', messages -%}
{%- endif -%}
{%- for turn in turns -%}
    {%- if (turn['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('turns must alternate') }}{%- endif -%}
    {%- set who = {'assistant': 'model'}.get(turn['role'], turn['role']) -%}
    {{ '<start_of_turn>' + who + '\n' + (lead if loop.first else '') }}
    {%- if turn['content'] is string -%}
        {{ turn['content'] | trim }}
    {%- elif turn['content'] is iterable -%}
        {%- for part in turn['content'] -%}
            {%- if part['type'] == 'image' -%}<start_of_image>{%- elif part['type'] == 'text' -%}{{ part['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception('content of a kind that is not known') }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""

# Mistral: selectattr and list, a counter in a namespace, items() with a condition in the loop, comparison of messages,
# a slice of a text, default with a value, string
MISTRAL = r"""{%- set rules = messages[0].content if messages[0].role == 'system' else none %}
{%- set turns = messages[1:] if rules is not none else messages %}
{%- set asked = turns | selectattr('role', 'equalto', 'user') | list %}
{%- set count = namespace(n=0) %}
{%- for m in turns %}
    {%- if m.role not in ('tool', 'tool_results') and not m.tool_calls is defined %}
        {%- if (m.role == 'user') != (count.n % 2 == 0) %}{{- raise_exception('user and assistant must take turns') }}{%- endif %}
        {%- set count.n = count.n + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for m in turns %}
    {%- if m.role == 'user' %}
        {%- if tools is not none and m == asked[-1] %}
            {{- '[AVAILABLE_TOOLS] [' }}
            {%- for tool in tools %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, value in tool.function.items() if key != 'return' %}
                    {{- '"' + key + '": ' + (('"' + value + '"') if value is string else value | tojson) }}
                    {{- '' if loop.last else ', ' }}
                {%- endfor %}
                {{- '}}' ~ (']' if loop.last else ', ') }}
            {%- endfor %}
            {{- '[/AVAILABLE_TOOLS]' }}
        {%- endif %}
        {{- '[INST] ' + (rules + '\n\n' if loop.last and rules else '') + m.content + '[/INST]' }}
    {%- elif m.tool_calls is defined and m.tool_calls is not none %}
        {{- '[TOOL_CALLS] [' }}
        {%- for call in m.tool_calls %}
            {%- set body = call.function | tojson %}
            {%- if call.id is undefined or call.id | length != 9 %}{{- raise_exception('a call needs an id of 9 letters') }}{%- endif %}
            {{- body[:-1] + ', "id": "' + call.id + '"}' + (', ' if not loop.last else ']' + eos_token) }}
        {%- endfor %}
    {%- elif m.role == 'assistant' %}
        {%- generation %}{{- ' ' + m.content | trim + eos_token }}{%- endgeneration %}
    {%- elif m.role in ['tool', 'tool_results'] %}
        {{- '[TOOL_RESULTS] {"content": ' + m.content | string + ', "call_id": "' + m.tool_call_id | default('000000000') + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception('a role that is not known: ' + m.role) }}
    {%- endif %}
{%- endfor %}
"""

# GPT-OSS: macros that call one another and themselves, default arguments, keywords, none, break and continue, capitalize,
# a date, markers around what macros give
GPT_OSS = r"""{%- macro type_of(spec) -%}
    {%- if spec.type == 'array' -%}{{ (type_of(spec['items']) if spec['items'] else 'any') ~ '[]' }}
    {%- elif spec.type is sequence and spec.type is not string -%}{{ spec.type | join(' | ') }}
    {%- elif spec.type == 'object' -%}
        {{- '{\n' -}}
        {%- for name, prop in spec.properties.items() -%}
            {{ name }}{{ '' if name in (spec.required or []) else '?' }}: {{ type_of(prop) }}{{ '' if loop.last else ',\n' }}
        {%- endfor -%}
        {{- '\n}' -}}
    {%- elif spec.enum -%}{{ '"' ~ spec.enum | join('" | "') ~ '"' }}
    {%- else -%}{{ {'integer': 'number', 'string': 'string'}.get(spec.type, 'any') }}
    {%- endif -%}
{%- endmacro -%}
{%- macro head(role, channel=none, to='') -%}
<|start|>{{ role }}{% if to %} to={{ to }}{% endif %}{% if channel is not none %}<|channel|>{{ channel }}{% endif %}<|message|>
{%- endmacro -%}
{{- head('system') }}Current date: {{ strftime_now('%Y-%m-%d') }}
Reasoning: {{ reasoning_effort | default('medium') }}<|end|>
{%- if tools %}{{ head('developer') }}namespace functions {
{%- for tool in tools %}
// {{ tool.function.description | default('nothing') | capitalize }}
type {{ tool.function.name }} = (_: {{ type_of(tool.function.parameters) }}) => any;
{%- endfor %}
}<|end|>{% endif %}
{%- for message in messages %}
    {%- if message.role == 'system' %}{% continue %}{% endif %}
    {%- if message.role == 'stop' %}{% break %}{% endif %}
    {%- if message.role == 'assistant' %}
        {%- if message.thinking %}{{ head('assistant', 'analysis') }}{{ message.thinking }}<|end|>{% endif %}
        {%- for call in message.tool_calls or [] %}{{ head('assistant', channel='commentary', to='functions.' ~ call.function.name) }}{{ call.function.arguments | tojson }}<|call|>{% endfor %}
        {%- if message.content %}{% generation %}{{ head('assistant', 'final') }}{{ message.content }}<|{{ 'return' if loop.last else 'end' }}|>{% endgeneration %}{% endif %}
    {%- else %}{{ head(message.role) }}{{ message.content }}<|end|>{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}"""

# DeepSeek R1: several flags in one namespace, an answer cut behind its thoughts, tool outputs in a row, "in" on texts
DEEPSEEK = r"""{%- set s = namespace(rules='', many=false, tool=false, first=true) -%}
{%- for m in messages if m['role'] == 'system' -%}{%- set s.rules = s.rules + ('' if s.first else '\n\n') + m['content'] -%}{%- set s.first = false -%}{%- endfor -%}
{{ bos_token }}{{ s.rules }}
{%- for m in messages -%}
    {%- if m['role'] == 'user' -%}{%- set s.tool = false -%}{{ '<User>' + m['content'] }}{%- endif -%}
    {%- if m['role'] == 'assistant' and m['tool_calls'] is defined and m['tool_calls'] -%}
        {%- for c in m['tool_calls'] -%}
            {{- '<Assistant><calls>' if loop.first else '\n' }}{{ c['type'] + '<sep>' + c['function']['name'] + '\n```json\n' + c['function']['arguments'] | tojson + '\n```' }}
            {%- if loop.last -%}{{ '</calls>' + eos_token }}{%- endif -%}
        {%- endfor -%}
    {%- elif m['role'] == 'assistant' -%}
        {%- set content = m['content'] -%}
        {%- if '</think>' in content -%}{%- set content = content.split('</think>')[-1] -%}{%- endif -%}
        {{ '</outputs>' if s.tool else '<Assistant>' }}{%- generation -%}{{ content + eos_token }}{%- endgeneration -%}
        {%- set s.tool = false -%}
    {%- endif -%}
    {%- if m['role'] == 'tool' -%}{{ ('\n' if s.tool else '<outputs>') + '<output>' + m['content'] + '</output>' }}{%- set s.tool = true -%}{%- endif -%}
{%- endfor -%}
{%- if s.tool -%}</outputs>{%- endif -%}
{%- if add_generation_prompt and not s.tool -%}{{ '<Assistant><think>\n' }}{%- endif -%}
"""

# Phi: one line, everything inside a loop, roles by comparison, else of a loop
PHI = r"""{% for m in messages %}{% if m['role'] == 'system' and 'tools' in m and m['tools'] is not none %}{{ '<|system|>' + m['content'] + '<|tool|>' + m['tools'] + '<|/tool|><|end|>' }}{% elif m['role'] == 'assistant' %}{{ '<|assistant|>' }}{% generation %}{{ m['content'] + '<|end|>' }}{% endgeneration %}{% else %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endif %}{% else %}nothing{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"""

# Command R: documents, items of a mapping in a loop, replace, upper, title, counting in a namespace, a block that is set
COMMAND_R = r"""{{ bos_token }}{% set n = namespace(i=0) %}
{%- set preamble %}
## Rules
{% if messages[0].role == 'system' %}{{ messages[0].content }}{% else %}be brief{% endif %}
{%- endset %}
{{- '<|START|>' ~ preamble | trim }}
{%- if documents %}
<results>
{% for document in documents %}
Document: {{ n.i }}
{% for key, value in document.items() %}
{{ key | title }}: {{ value }}
{% endfor %}
{%- set n.i = n.i + 1 %}
{% endfor %}
</results>
{%- endif %}
{%- for m in messages if m.role != 'system' %}
{{ '<|' ~ m.role.upper().replace('ASSISTANT', 'CHATBOT') ~ '|>' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|END|>{% endgeneration %}{% else %}{{ m.content }}<|END|>{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|CHATBOT|>{% endif %}
"""

# Granite: rejectattr, map with attribute, join, ternaries without else, dates with %B, keyword arguments of tojson
GRANITE = r"""{%- set rules = (messages | selectattr('role', 'eq', 'system') | map(attribute='content') | join('\n')) %}
{%- set rest = messages | rejectattr('role', 'equalto', 'system') | list %}
{{- '<|role|>system<|end|>' ~ ('Date: ' ~ strftime_now('%B %d, %Y') ~ '.\n' if not rules) ~ rules ~ '<|text|>\n' }}
{%- if tools %}{{- '<|role|>tools<|end|>' ~ tools | tojson(indent=2, ensure_ascii=true) ~ '<|text|>\n' }}{% endif %}
{%- for m in rest %}
{{- '<|role|>' ~ m['role'] ~ '<|end|>' }}
{%- if m['role'] == 'assistant' %}{% generation %}{{ m['content'] if m['content'] is string else m['content'] | tojson }}<|text|>{% endgeneration %}{% else %}{{ m['content'] }}<|text|>{% endif %}
{{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|role|>assistant' ~ (' {"thinking": true}' if thinking else '') ~ '<|end|>' }}{% endif %}
"""

# SmolLM3: thinking variants chosen by a mode in the system text, "in" with a chain of tests, replace, elif on a variable
SMOLLM3 = r"""{%- if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}
{%- set mode = '/think' if enable_thinking else '/no_think' %}
{%- set rules = '' %}
{%- if messages[0].role == 'system' %}
    {%- set rules = messages[0].content %}
    {%- if '/no_think' in rules %}{% set mode = '/no_think' %}{% elif '/think' in rules %}{% set mode = '/think' %}{% endif %}
    {%- set rules = rules.replace('/no_think', '').replace('/think', '').rstrip() %}
{%- endif %}
<|im_start|>system
Mode: {{ mode }}
{{ rules }}<|im_end|>
{% for m in messages %}
    {%- set content = m.content if m.content is string else '' -%}
    {%- if m.role == 'user' %}
<|im_start|>user
{{ content }}<|im_end|>
{% elif m.role == 'assistant' %}
<|im_start|>assistant
{% generation %}{{ content.lstrip('\n') if mode == '/think' else '<think>\n\n</think>\n' ~ content.lstrip('\n') }}<|im_end|>
{% endgeneration %}
    {%- elif m.role == 'tool' %}
<|im_start|>user
{{ content }}<|im_end|>
{% endif %}
{%- endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% if mode == '/no_think' %}
<think>

</think>
{% endif %}
{% endif %}
"""

# Hermes: a macro with call blocks, tools as lines, sorting of keys, a list that is built by adding lists
HERMES = r"""{%- macro wrapped(tag) -%}<{{ tag }}>{{ caller() }}</{{ tag }}>{%- endmacro -%}
{%- set names = namespace(all=[]) -%}
{%- for tool in tools or [] -%}{%- set names.all = names.all + [tool.function.name] -%}{%- endfor -%}
{{ bos_token }}{% if names.all %}{% call wrapped('tools') %}{{ names.all | join(',') }}: {% for tool in tools %}{{ tool | tojson(sort_keys=true, separators=(',', ':')) }}{% endfor %}{% endcall %}{% endif %}
{%- for m in messages -%}
    {{- '<|im_start|>' ~ m.role ~ '\n' -}}
    {%- if m.role == 'assistant' -%}
        {%- generation -%}
        {{- m.content -}}
        {%- for c in m.tool_calls | default([], true) -%}{%- call wrapped('tool_call') -%}{{ c.function | tojson }}{%- endcall -%}{%- endfor -%}
        <|im_end|>{%- endgeneration -%}
    {%- elif m.role == 'tool' -%}
        {%- call wrapped('tool_response') -%}{{ m.content }}{%- endcall -%}<|im_end|>
    {%- else -%}{{ m.content }}<|im_end|>{%- endif -%}
    {{- '\n' -}}
{%- endfor -%}"""

# GLM: a filter block, "with" blocks, integers and floats printed, loop.previtem and nextitem, not in
GLM = r"""[gMASK]<sop>{% with n = messages | length %}{{ n }}/{{ n / 2 }}/{{ n // 2 }}/{{ n * 1.0 }}{% endwith %}
{%- for m in messages %}
    {%- if loop.previtem is defined and loop.previtem.role == m.role %}<again>{% endif %}
    {%- if m.role not in ['assistant', 'observation'] %}<|{{ m.role }}|>
{% filter trim %}  {{ m.content }}  {% endfilter %}
    {%- else %}<|assistant|>
{% generation %}{{ m.content }}{% if loop.nextitem is defined %}<next>{% else %}{{ eos_token }}{% endif %}{% endgeneration %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}"""

# Kimi: comments, raw, cycles, reversed, first and last, sums of attributes, unique, comparisons chained by and/or
KIMI = r"""{# what is {{ not }} rendered {% generation %} #}{% raw %}{{ raw }}{% generation %}{% endraw %}
{%- for m in messages -%}
    {{- loop.cycle('<a>', '<b>') ~ loop.revindex ~ loop.length -}}
    {%- if m.role == 'assistant' and (m.content or m.tool_calls) -%}
        {% generation %}{{ m.content or 'call' }}<|im_end|>{% endgeneration %}
    {%- else -%}{{ m.content }}<|im_end|>{%- endif -%}
{%- endfor -%}
{{ messages | map(attribute='role') | unique | join('+') }} {{ (messages | first).role }} {{ (messages | last)['role'] }} {{ messages | reverse | map(attribute='role') | list | length }}
"""

# Nemotron: names set inside a marked block stay there, an if around a loop, integers as texts, min and max
NEMOTRON = r"""{% set who = 'nobody' %}{% for m in messages %}
{% if m.role == 'assistant' %}
{% generation %}
{% set who = 'assistant' %}
<extra_id_1>{{ who }}
{{ m.content }}
{% endgeneration %}
{% else %}
<extra_id_0>{{ m.role | upper }} {{ loop.index | string + '.' }} {{ [loop.index, 2] | min }} {{ [loop.index, 2] | max }}
{{ m.content }}
{% endif %}
{% endfor %}
{{ who }}{% if add_generation_prompt %}
<extra_id_1>Assistant
{% endif %}"""

# InternLM: text methods (find, count, lower, isdigit, partition by split with a limit), in-line tests, escapes
INTERNLM = r"""{% for m in messages %}{% set c = m.content | string %}{{ '<|im_start|>' }}{{ m.role[0] | upper }}{{ m.role[1:] }} {{ c | length }} {{ c.count('e') }} {{ c.find('h') }} {{ c.lower() | trim }} {{ c.isdigit() }} {{ c.split(' ', 1)[0] }} {{ c.splitlines() | length }}
{% if m.role == 'assistant' %}{% generation %}{{ c }}{{ eos_token }}{% endgeneration %}{% else %}{{ c | replace('\n', '\\n') }}{% endif %}
{% endfor %}"""

# OLMo: everything depends on one mapping of roles, unknown roles are told to the caller with their list as Python prints
OLMO = r"""{%- set marks = {'system': '<|sys|>', 'user': '<|user|>', 'assistant': '<|assistant|>', 'tool': '<|env|>'} -%}
{%- for m in messages -%}
    {%- if m.role not in marks -%}{{ raise_exception('only ' ~ marks.keys() | list ~ ' are roles') }}{%- endif -%}
    {{ marks[m.role] ~ '\n' }}
    {%- if m.role == 'assistant' -%}{% generation %}{{ m.content ~ (eos_token if loop.last else '<|end|>') }}{% endgeneration %}{%- else -%}{{ m.content }}{%- endif -%}
    {{ '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ marks['assistant'] ~ '\n' }}{%- endif -%}"""

# odds and ends: Python's forms of values, arithmetic, filters, tests, operators, blocks
ODDS = r"""{% macro wrap() %}<{{ caller('in') }}>{% endmacro %}{% set d = {'b': 1, 'a': [true, none, 1.5, 'x\'y', "\u200b\u00e9"]} %}{{ d }}|{{ true }}|{{ none }}|{{ 1.0 }}|{{ 10 // 3 }}|{{ 7 % 4 }}|{{ 2 ** 3 }}|{{ 7 / 2 }}
{{ d | tojson(sort_keys=true) }}|{{ d | tojson(separators=(',', ':')) }}|{{ 'é"' | tojson }}|{{ 'é🙂' | tojson(ensure_ascii=true) }}|{{ [] | tojson(indent=2) }}
{{ d | length }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('zz', 'none') }} {% for k, v in d | dictsort %}{{ k }}{% endfor %} {{ 'a' in d }} {{ 'q' not in 'abc' }}
{% for k, v in d | items %}{{ loop.index }}/{{ loop.length }} {{ k }} {{ loop.revindex0 }};{% else %}none{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %}
{{ 'Hello World'.lower().replace('o', '0').title() }} {{ 'a,b,,c'.split(',') }} {{ '  x '.strip() }}| {{ 'x' * 3 }} {{ 'abc'[::-1] }} {{ 'abcdef'[1:-1:2] }}
{{ [3, 1, 2] | sort | join(', ') }} {{ [1, 2, 3] | sum }} {{ ['a', 'b'] | map('upper') | list }} {{ [1, 2] + [3] }} {{ (1, 2)[0] }}
{{ nowhere }}|{{ nowhere is defined }}|{{ nowhere | default('fallback') }}|{{ '' or 'or' }}|{{ 'and' and 1 }}|{{ not 0 }}
{{ messages[0].role ~ 1 ~ true }} {{ "yes" if messages else "no" }} {{ range(3) | list }} {{ 3 is odd }} {{ 4 is divisibleby(2) }} {{ none is none }} {{ 1 == 1.0 }} {{ 1 < 2 <= 2 }}
{%- set ns = namespace(text='') -%}
{%- for message in messages -%}
  {%- set ns.text = ns.text + message.role[0] -%}
{%- endfor %}
{{ ns.text }} {%+ if true %} kept {% endif %}
{% set block %}in a {{ 'block' }}{% endset %}{{ block | upper | replace('A', 'b') }} {{ block | indent(2) }} {{ 1e20 }} {{ 0.00001 }} {{ 'x' is string }} {{ 5 | float }} {{ '7' | int + 1 }} {{ 2.567 | round(1) }} {{ -3 | abs }}
{% filter upper %}shout{% endfilter %} {{ '%s' }} {{ "a" "b" }}
{{- '\n' -}}
{% call(x) wrap() %}[{{ x }}]{% endcall %}"""

TEMPLATES = {name.lower(): value for name, value in list(globals().items()) if isinstance(value, str) and name.isupper()}
assert len(TEMPLATES) == 20
