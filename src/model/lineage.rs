//! Lineages: what a team launches again and again under a name that changes with the day.

/// What stands for a folded part of a name.
const FOLDED: &str = "#";
/// Joins parts of a date, a time or an id.
const JOINS: &[char] = &['-', '_', ':', '.', '/', ' ', ',', '+', 'T'];
/// Shortest run of letters and digits that may be an id.
const ID_LENGTH: usize = 8;
const UUID_LENGTH: usize = 36;
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The lineage of a cluster within its account and Region: the value of the configured tag, else the
/// name with dates, numbers and ids folded to `#`. `None` where neither says anything; such a cluster
/// is a lineage of its own.
pub fn lineage(tag: Option<&str>, name: Option<&str>) -> Option<String> {
    let said = |text: &&str| !text.is_empty();
    match tag.map(str::trim).filter(said) {
        Some(tag) => Some(tag.to_owned()),
        None => name.map(str::trim).filter(said).map(fold),
    }
}

/// A piece of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'n> {
    Folded,
    /// Letters.
    Letters(&'n str),
    /// Everything else.
    Other(&'n str),
}

/// Folds dates, times, numbers, UUIDs, cluster ids and long hexadecimal runs to `#`; neighbours that
/// only a hyphen, a dot or the like parts become one.
fn fold(name: &str) -> String {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some((is_word, run)) = runs(rest, char::is_alphanumeric).next() {
        let mut taken = run.len();
        if let Some(uuid) = rest.get(..UUID_LENGTH).filter(|text| is_uuid(text)) {
            taken = uuid.len();
            pieces.push(Piece::Folded);
        } else if !is_word {
            pieces.push(Piece::Other(run));
        } else if is_id(run) || follows_j(&pieces, run) {
            pieces.push(Piece::Folded);
        } else {
            pieces.extend(runs(run, |c| c.is_ascii_digit()).map(|part| match part {
                (true, _) => Piece::Folded,
                (false, letters) => Piece::Letters(letters),
            }));
        }
        rest = &rest[taken..];
    }
    fold_months(&mut pieces);
    joined(&pieces)
}

/// Splits text into its longest runs of characters that are `wanted`, and that are not.
fn runs(text: &str, wanted: fn(char) -> bool) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is = wanted(rest.chars().next()?);
        let end = rest.find(|c| wanted(c) != is).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((is, run))
    })
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Whether a word is a long hexadecimal run, or a longer one that mixes letters
/// and digits freely.
fn is_id(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let hex = word.chars().all(|c| c.is_ascii_hexdigit());
    (hex && digits > 0 && word.len() >= ID_LENGTH)
        || (word.len() >= 2 * ID_LENGTH && digits >= 4 && word.is_ascii())
}

/// Whether a word is the second part of `j-…`, an EMR cluster id.
fn follows_j(before: &[Piece<'_>], word: &str) -> bool {
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    before.ends_with(&[Piece::Letters("j"), Piece::Other("-")])
        && word.len() >= ID_LENGTH
        && word.chars().all(upper)
}

/// A month's name beside a number belongs to a date.
fn fold_months(pieces: &mut [Piece<'_>]) {
    let folded = |pieces: &[Piece<'_>], at: usize, step: isize| {
        let near = |n: isize| at.checked_add_signed(n * step).and_then(|i| pieces.get(i));
        match near(1) {
            Some(Piece::Folded) => true,
            Some(Piece::Other(text)) if text.len() == 1 => near(2) == Some(&Piece::Folded),
            _ => false,
        }
    };
    for at in 0..pieces.len() {
        if let Piece::Letters(word) = pieces[at]
            && is_month(word)
            && (folded(pieces, at, 1) || folded(pieces, at, -1))
        {
            pieces[at] = Piece::Folded;
        }
    }
}

fn is_month(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    MONTHS.iter().any(|m| *m == word || m[..3] == word)
}

fn joined(pieces: &[Piece<'_>]) -> String {
    let mut text = String::new();
    // What stands between the last folded piece and here, and whether it may vanish between two.
    let mut between: Option<String> = None;
    for piece in pieces {
        match piece {
            Piece::Folded => {
                let joins = between.take().is_some_and(|held| {
                    held.chars().all(|c| JOINS.contains(&c)) || {
                        text.push_str(&held);
                        false
                    }
                });
                if !joins {
                    text.push_str(FOLDED);
                }
                between = Some(String::new());
            }
            Piece::Letters(part) | Piece::Other(part) => match &mut between {
                Some(held) => held.push_str(part),
                None => text.push_str(part),
            },
        }
    }
    text.push_str(&between.unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(name: &str) -> String {
        lineage(None, Some(name)).expect("a lineage")
    }

    #[test]
    fn the_tag_wins_and_blanks_say_nothing() {
        assert_eq!(
            lineage(Some(" etl 7 "), Some("x")).as_deref(),
            Some("etl 7")
        );
        assert_eq!(lineage(Some("  "), Some("x")).as_deref(), Some("x"));
        assert_eq!(lineage(Some(""), Some(" ")), None);
        assert_eq!(lineage(None, None), None);
    }

    #[test]
    fn what_changes_from_launch_to_launch_is_folded() {
        for (name, expected) in [
            ("nightly-2026-10-01", "nightly-#"),
            ("nightly-20261001", "nightly-#"),
            ("nightly_2026/10/01_7", "nightly_#"),
            ("nightly 2026-10-01T02:00:00Z", "nightly #Z"),
            ("nightly-20261001T020000Z-run", "nightly-#-run"),
            ("nightly 1 Oct 2026", "nightly #"),
            ("nightly-01Oct2026", "nightly-#"),
            ("nightly-October-2026", "nightly-#"),
            ("etl01", "etl#"),
            ("etl-v2-prod", "etl-v#-prod"),
            ("etl 12 of 40", "etl # of #"),
            ("job-3f2b8c1e-0000-4000-8000-00000000abcd", "job-#"),
            ("job-abcdefab-9a1b-ac2d-8e3f-abcdefabcdef.x", "job-#.x"),
            ("retry of j-1ABCDEFGHIJKL", "retry of j-#"),
            ("job-9f86d081884c7d65", "job-#"),
            ("job-01HV9ZK3Q2W8R4T6Y1", "job-#"),
            ("20261001", "#"),
        ] {
            assert_eq!(folded(name), expected, "{name}");
        }
    }

    #[test]
    fn what_tells_lineages_apart_stays() {
        for name in [
            "nightly",
            "deadbeef",
            "march madness",
            "May report",
            "j-team",
            "Ürün günlüğü",
            "J-TEAM-ALPHABETICAL",
        ] {
            assert_eq!(folded(name), name, "{name}");
        }
    }

    #[test]
    fn folding_again_changes_nothing() {
        for name in [
            "a-2026-10-01-b7",
            "j-1ABCDEFGHIJKL",
            "é٣-12_13",
            "#-1",
            "1T2T",
            "T1T",
        ] {
            let once = folded(name);
            assert_eq!(folded(&once), once, "{name}");
        }
    }
}
