//! Prices: a dated default, or a file of the user's.

use std::str::FromStr as _;

use crate::dataset;
use crate::model::table::Dataset as _;
use crate::model::words::Source;
use crate::time::Date;

/// The prices that hold where no others are given.
pub const DEFAULT_PRICES: &str = include_str!("../../schemas/prices.csv");

/// The item that every list of prices must have.
const KEY_MONTH: &str = "kms_key_month";
const CALLS: &str = "calls/";

dataset! {
    /// One row per item and date from which a price holds. Sealed with the rollup that reckons with it.
    pub struct Price: "price" v 1, key [item, valid_from];
    /// What is priced.
    item: String = "kms_key_month, calls/<source>";
    /// First date on which the price holds.
    valid_from: Date = "UTC date";
    /// The price of one unit.
    nano_usd: i64 = "0.000000001 USD";
    /// One unit.
    unit: String = "text";
}

/// Why a list of prices is refused.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    #[error("it is not CSV of the form of schemas/prices.csv: {0}")]
    Csv(#[from] csv::Error),
    #[error("it has the columns {found}; needed are item,valid_from,nano_usd,unit")]
    Columns { found: String },
    #[error(
        "line {line}: '{item}' is neither kms_key_month nor calls/<source> with a source of coverage"
    )]
    Item { line: u64, item: String },
    #[error("line {line}: {what}")]
    Value { line: u64, what: String },
    #[error("it has two prices of {item} from {valid_from} on")]
    Twice { item: String, valid_from: Date },
    #[error("it has no price of kms_key_month")]
    NoKeyPrice,
}

/// Reads prices, in key order. Lines that begin with `#` are remarks.
///
/// # Errors
/// [`PriceError`]: text of another form, unknown items, values that are no dates or amounts.
pub fn parse_prices(text: &str) -> Result<Vec<Price>, PriceError> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let found: Vec<_> = reader.headers()?.iter().collect();
    if found != ["item", "valid_from", "nano_usd", "unit"] {
        return Err(PriceError::Columns {
            found: found.join(","),
        });
    }
    let mut prices = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |n: usize| record.get(n).unwrap_or_default();
        let wrong = |what: String| PriceError::Value { line, what };
        prices.push(Price {
            item: item(field(0)).ok_or_else(|| PriceError::Item {
                line,
                item: field(0).to_owned(),
            })?,
            valid_from: Date::from_str(field(1)).map_err(|e| wrong(e.to_string()))?,
            nano_usd: field(2)
                .parse()
                .ok()
                .filter(|amount| (0..=MOST).contains(amount))
                .ok_or_else(|| wrong(format!("'{}' is no amount in 0.000000001 USD", field(2))))?,
            unit: field(3).to_owned(),
        });
    }
    prices.sort_by(Price::key_order);
    if let Some(pair) = prices
        .windows(2)
        .find(|pair| pair[0].key_order(&pair[1]).is_eq())
    {
        return Err(PriceError::Twice {
            item: pair[0].item.clone(),
            valid_from: pair[0].valid_from,
        });
    }
    if !prices.iter().any(|price| price.item == KEY_MONTH) {
        return Err(PriceError::NoKeyPrice);
    }
    Ok(prices)
}

/// 1,000 USD: more for a key or a call is a mistake of unit, and sums must not overflow.
const MOST: i64 = 1_000_000_000_000;

fn item(text: &str) -> Option<String> {
    let known = text == KEY_MONTH
        || text
            .strip_prefix(CALLS)
            .is_some_and(|source| Source::from_str(source).is_ok());
    known.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "item,valid_from,nano_usd,unit\n";

    #[test]
    fn the_default_is_read() {
        let prices = parse_prices(DEFAULT_PRICES).expect("prices");
        let key = prices.iter().find(|p| p.item == "kms_key_month");
        assert_eq!(key.expect("a price").nano_usd, 1_000_000_000);
        assert!(prices.len() > 3);
    }

    #[test]
    fn rows_are_sorted_and_remarks_left_out() {
        let text = format!(
            "# remark\n{HEAD}kms_key_month, 2027-01-01, 2, m\n# another\ncalls/keys,2026-01-01,1,c\n\
             kms_key_month,2026-01-01,3,m\n"
        );
        let prices = parse_prices(&text).expect("prices");
        let amounts: Vec<_> = prices.iter().map(|p| p.nano_usd).collect();
        assert_eq!(amounts, [1, 3, 2]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let key = "kms_key_month,2026-01-01,3,m\n";
        for (text, told) in [
            (String::new(), "item,valid_from"),
            ("item,price\n".to_owned(), "item,price"),
            (
                format!("{HEAD}kms_key,2026-01-01,1,m\n"),
                "line 2: 'kms_key'",
            ),
            (
                format!("{HEAD}{key}calls/kes,2026-01-01,1,m\n"),
                "line 3: 'calls/kes'",
            ),
            (
                format!("{HEAD}kms_key_month,2026-13-01,1,m\n"),
                "2026-13-01",
            ),
            (format!("{HEAD}kms_key_month,2026-01-01,1.5,m\n"), "'1.5'"),
            (format!("{HEAD}kms_key_month,2026-01-01,-1,m\n"), "'-1'"),
            (
                format!("{HEAD}kms_key_month,2026-01-01,1000000000001,m\n"),
                "no amount",
            ),
            (format!("{HEAD}kms_key_month,2026-01-01\n"), "not CSV"),
            (
                format!("{HEAD}{key}{key}"),
                "two prices of kms_key_month from 2026-01-01",
            ),
            (
                format!("{HEAD}calls/keys,2026-01-01,1,c\n"),
                "no price of kms_key_month",
            ),
        ] {
            let error = parse_prices(&text).expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
