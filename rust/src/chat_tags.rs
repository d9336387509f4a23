//! The tags {% generation %} and {% endgeneration %} that transformers adds to Jinja2. minijinja has no tags of one's
//! own, so they become a filter block, whose text can be marked, around a `with` block, which keeps names inside as the
//! call block behind transformers' tag does.

/// A tag of a template: where it stands, and its word.
struct Tag {
    start: usize,
    close: usize,
    ends: bool,
}

/// True when the template says what the assistant generates.
pub fn has_markers(template: &str) -> bool {
    next_tag(template, 0).is_some()
}

pub fn with_filter_blocks(template: &str) -> String {
    let mut out = String::new();
    let mut done = 0;
    while let Some(tag) = next_tag(template, done) {
        out += &template[done..tag.start];
        let inside = &template[tag.start + 2..tag.close - 2];
        let left = inside.chars().next().filter(|c| "-+".contains(*c)).map_or(String::new(), String::from);
        let right = inside.chars().last().filter(|c| "-+".contains(*c)).map_or(String::new(), String::from);
        out += &match tag.ends {
            false => format!("{{%{left} filter generation %}}{{% with {right}%}}"),
            true => format!("{{%{left} endwith %}}{{% endfilter {right}%}}"),
        };
        done = tag.close;
    }
    out + &template[done..]
}

/// The next generation tag at or after `from`: not in a comment, a raw block or a text of an expression.
fn next_tag(template: &str, from: usize) -> Option<Tag> {
    let mut at = from;
    loop {
        let start = at + template[at..].find('{')?;
        at = match template[start..].get(..2) {
            Some("{#") => start + 2 + template[start + 2..].find("#}")? + 2,
            Some("{{") => close_of(template, start + 2, "}}")?,
            Some("{%") => {
                let close = close_of(template, start + 2, "%}")?;
                match template[start + 2..close - 2].trim_matches(['-', '+']).trim() {
                    "generation" => return Some(Tag { start, close, ends: false }),
                    "endgeneration" => return Some(Tag { start, close, ends: true }),
                    "raw" => end_of_raw(template, close)?,
                    _ => close,
                }
            }
            _ => start + 1,
        };
    }
}

/// Behind the `end` of an expression or tag whose inside begins at `at`; texts inside it may hold anything.
fn close_of(template: &str, at: usize, end: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in template[at..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if template[at + i..].starts_with(end) => return Some(at + i + end.len()),
            None => {}
        }
    }
    None
}

fn end_of_raw(template: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let start = at + template[at..].find("{%")?;
        let close = start + template[start..].find("%}")? + 2;
        if template[start + 2..close - 2].trim_matches(['-', '+']).trim() == "endraw" {
            return Some(close);
        }
        at = start + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_control_stays_at_its_ends() {
        assert_eq!(with_filter_blocks("{%- generation -%} x {%endgeneration+%}"), "{%- filter generation %}{% with -%} x {% endwith %}{% endfilter +%}");
    }

    #[test]
    fn what_only_looks_like_a_tag_is_none() {
        for text in ["{# {% generation %} #}", "{{ '{% generation %}' }}", "{% raw %}{% generation %}{% endraw %}", "{{ generation }}", "{ % generation % }", "{% generation"] {
            assert!(!has_markers(text), "{text}");
            assert_eq!(with_filter_blocks(text), text);
        }
        assert!(has_markers("{# a #}{{ '\\'}}' }}{% raw %}x{%- endraw %}{% if x == '%}' %}{%- generation %}"));
    }
}
