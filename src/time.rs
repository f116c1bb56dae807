//! Time as an argument: instants, dates, quarters and the clock that everything else is handed.
//!
//! All instants are UTC milliseconds. Nothing outside [`SystemClock`] asks the machine for the time,
//! so a simulated quarter runs the same code as a real night.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};

/// Milliseconds in one day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds in one hour.
pub const HOUR_MS: i64 = 3_600_000;

/// An instant, in milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// The UTC calendar date of this instant.
    pub fn date(self) -> Date {
        Date::from_days(self.0.div_euclid(DAY_MS))
    }

    /// This instant moved by `ms` milliseconds, saturating at the ends of the range.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// `YYYYMMDDTHHMMSSZ`, the form in which instants stand in run ids.
    pub fn compact(self) -> String {
        self.datetime().format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn datetime(self) -> DateTime<Utc> {
        // Out of chrono's range only beyond the year 262,000: shown as the nearest end.
        DateTime::from_timestamp_millis(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.datetime().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// Why a time, date or quarter could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("'{0}' is not an RFC 3339 time such as 2026-11-24T02:00:03.000Z")]
    Instant(String),
    #[error("'{0}' is not a date such as 2026-11-24")]
    Date(String),
    #[error("'{0}' is not a quarter such as 2026Q4")]
    Quarter(String),
    #[error("'{0}' is not a duration such as 90s, 30m or 6h")]
    Duration(String),
}

impl FromStr for UtcMillis {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        DateTime::parse_from_rfc3339(text)
            .map(|t| Self(t.timestamp_millis()))
            .map_err(|_| TimeError::Instant(text.to_owned()))
    }
}

/// A calendar date, UTC, in the years 0001 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(NaiveDate);

impl Date {
    /// The date `days` after 1970-01-01, clamped to the representable range.
    pub fn from_days(days: i64) -> Self {
        let days = i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
        let clamped = days.clamp(-719_162, 2_932_896);
        Self(NaiveDate::from_epoch_days(clamped).unwrap_or_default())
    }

    /// Days since 1970-01-01, the form of a Parquet DATE.
    pub fn days(self) -> i32 {
        self.0.to_epoch_days()
    }

    /// Midnight UTC at which the date begins.
    pub fn start(self) -> UtcMillis {
        UtcMillis(i64::from(self.days()) * DAY_MS)
    }

    /// The date `days` later (earlier when negative).
    pub fn plus_days(self, days: i64) -> Self {
        Self::from_days(i64::from(self.days()) + days)
    }

    /// The calendar quarter this date lies in.
    pub fn quarter(self) -> Quarter {
        Quarter {
            year: self.0.year(),
            number: (self.0.month0() / 3 + 1) as u8,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let strict = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| {
                if i == 4 || i == 7 {
                    b == b'-'
                } else {
                    b.is_ascii_digit()
                }
            });
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
        // By hand: every row of the evidence has one, and a format that is read at run time took a twentieth
        // of reading them.
        let date = |year: u32| {
            NaiveDate::from_ymd_opt(year.try_into().ok()?, number(5..7)?, number(8..10)?)
        };
        let date = number(0..4).filter(|_| strict).and_then(date);
        date.map(Self)
            .ok_or_else(|| TimeError::Date(text.to_owned()))
    }
}

/// A calendar quarter: the half-open range of dates from [`Quarter::first`] to [`Quarter::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter {
    year: i32,
    number: u8,
}

impl Quarter {
    /// First date of the quarter.
    pub fn first(self) -> Date {
        let month = u32::from(self.number) * 3 - 2;
        Date(NaiveDate::from_ymd_opt(self.year, month, 1).unwrap_or_default())
    }

    /// First date after the quarter.
    pub fn end(self) -> Date {
        let next = if self.number == 4 {
            Quarter {
                year: self.year + 1,
                number: 1,
            }
        } else {
            Quarter {
                year: self.year,
                number: self.number + 1,
            }
        };
        next.first()
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}Q{}", self.year, self.number)
    }
}

impl FromStr for Quarter {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError::Quarter(text.to_owned());
        let (year, number) = text.split_once('Q').ok_or_else(bad)?;
        if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let year: i32 = year.parse().map_err(|_| bad())?;
        let number: u8 = number.parse().map_err(|_| bad())?;
        if year == 0 || !(1..=4).contains(&number) {
            return Err(bad());
        }
        Ok(Self { year, number })
    }
}

/// Reads `90s`, `30m`, `6h` or `2d`.
pub fn parse_duration(text: &str) -> Result<Duration, TimeError> {
    let bad = || TimeError::Duration(text.to_owned());
    let unit = text.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| bad())?;
    count
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(bad)
}

/// Tells the time and waits. Every wait in the program goes through it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> UtcMillis;
    /// Time since some moment that stays the same, for telling how long something takes.
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now().0.max(0).unsigned_abs())
    }
    /// Completes after `duration` of this clock's time.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UtcMillis {
        UtcMillis(Utc::now().timestamp_millis())
    }

    /// By the monotonic clock, which nobody sets back.
    fn elapsed(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// The machine's clock moved to another epoch: it ticks at the real rate, so a simulated day starts
/// wherever the caller puts it. Used by the demo and by tests that span days.
#[derive(Debug)]
pub struct ShiftedClock {
    offset_ms: std::sync::atomic::AtomicI64,
}

impl ShiftedClock {
    /// A clock that shows `now` at this moment.
    pub fn at(now: UtcMillis) -> Self {
        let clock = Self {
            offset_ms: std::sync::atomic::AtomicI64::new(0),
        };
        clock.set(now);
        clock
    }

    /// Moves the clock so that it shows `now` at this moment.
    pub fn set(&self, now: UtcMillis) {
        let offset = now.0 - SystemClock.now().0;
        self.offset_ms
            .store(offset, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> UtcMillis {
        SystemClock
            .now()
            .plus_ms(self.offset_ms.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        SystemClock.sleep(duration)
    }
}

impl<T: Clock> Clock for std::sync::Arc<T> {
    fn now(&self) -> UtcMillis {
        (**self).now()
    }

    fn elapsed(&self) -> Duration {
        (**self).elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        (**self).sleep(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_back_as_written() {
        let t = UtcMillis(1_795_485_603_007);
        assert_eq!(t.to_string().parse(), Ok(t));
        assert_eq!(t.compact().len(), 16);
    }

    #[test]
    fn a_date_before_the_epoch_is_the_day_it_lies_in() {
        assert_eq!(UtcMillis(-1).date().to_string(), "1969-12-31");
        assert_eq!(UtcMillis(0).date().to_string(), "1970-01-01");
    }

    #[test]
    fn quarters_are_half_open() {
        let q: Quarter = "2026Q4".parse().expect("quarter");
        assert_eq!(q.first().to_string(), "2026-10-01");
        assert_eq!(q.end().to_string(), "2027-01-01");
        assert_eq!(q.end().plus_days(-1).quarter(), q);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "2026Q5", "26Q1", "2026-1", "0000Q1", "2026Q01x"] {
            assert!(bad.parse::<Quarter>().is_err(), "{bad}");
        }
        for bad in ["", "2026-13-01", "2026-1-1", "+026-01-01", "2026-02-30"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
        for bad in ["", "6", "h", "-1h", "99999999999999999999h", "6ü"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
