//! Small pieces of text: numbers, names, durations.

/// `1507` as `1,507`.
pub fn number(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    if n < 0 { format!("-{text}") } else { text }
}

/// A name from outside made safe for a terminal and cut to `width` characters. Control characters
/// become `?`, so that nobody's cluster name can move the cursor.
pub fn name(raw: &str, width: usize) -> String {
    let safe: Vec<char> = raw
        .chars()
        .take(width + 1)
        .map(|c| if is_harmless(c) { c } else { '?' })
        .collect();
    if safe.len() <= width {
        return safe.into_iter().collect();
    }
    let mut cut: String = safe[..width.saturating_sub(1)].iter().collect();
    cut.push('…');
    cut
}

/// Text from outside made safe for a terminal and not cut.
pub fn harmless(raw: &str) -> String {
    let safe = raw.chars().map(|c| if is_harmless(c) { c } else { '?' });
    safe.collect()
}

fn is_harmless(c: char) -> bool {
    // Beside controls: marks that reverse the reading direction or are not visible at all.
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `1` as `1 account`, `2` as `2 accounts`.
pub fn counted(n: i64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// Milliseconds as `0.4 s`, `12 s`, `31 min` or `2 h 05 min`.
pub fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..10 => format!("{:.1} s", ms.max(0) as f64 / 1000.0),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `part` of `whole` in per cent with one decimal, rounded half up; `n/a` of nothing.
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "n/a".to_owned();
    }
    let tenths = (i128::from(part) * 2000 + i128::from(whole)) / (i128::from(whole) * 2);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Breaks `words` into lines of at most `width` columns, each after the first behind `indent`.
pub fn wrap(words: &str, width: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1507, "1,507"),
            (-41_207, "-41,207"),
        ] {
            assert_eq!(number(n), text);
        }
        assert_eq!(number(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn per_cent_rounds_once_and_knows_nothing() {
        assert_eq!(percent(471, 599), "78.6 %");
        assert_eq!(percent(1, 1), "100.0 %");
        assert_eq!(percent(0, 0), "n/a");
        assert_eq!(percent(i64::MAX, i64::MAX), "100.0 %");
    }

    #[test]
    fn hostile_names_cannot_reach_the_terminal() {
        assert_eq!(name("\u{1b}[2Jx\u{202e}y\n", 20), "?[2Jx?y?");
        assert_eq!(name(&"x".repeat(90), 5), "xxxx…");
        assert_eq!(name("", 5), "");
    }

    #[test]
    fn durations_read_like_speech() {
        for (ms, text) in [
            (400, "0.4 s"),
            (12_400, "12 s"),
            (1_860_000, "31 min"),
            (7_500_000, "2 h 05 min"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
