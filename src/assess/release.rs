//! EMR release labels.

/// The version in a label of the form `emr-x.y.z`. Compares as numbers: 5.9.0 is older than 5.30.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Release {
    /// Reads a label; `None` for every other form, of which there are several (`emr-6.2.0-latest`,
    /// the Spark 8 line) and whose order among releases nobody has documented.
    pub fn parse(label: &str) -> Option<Self> {
        let mut parts = label.strip_prefix("emr-")?.splitn(3, '.').map(number);
        Some(Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next()??,
        })
    }

    /// Whether the release encrypts archived logs with `LogEncryptionKmsKeyId`: 5.30.0 and later,
    /// except 6.0.0
    /// (<https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html>).
    pub fn honours_log_key(self) -> bool {
        let of = |major, minor, patch| Self {
            major,
            minor,
            patch,
        };
        self >= of(5, 30, 0) && self != of(6, 0, 0)
    }

    /// Whether the release sends logs to CloudWatch by itself: 7.11.0 and later
    /// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-logging-cw.html>).
    pub fn logs_to_cloudwatch(self) -> bool {
        (self.major, self.minor) >= (7, 11)
    }

    /// Whether the release knows `LogTypeUploadPolicy`: 7.13.0 and later
    /// (<https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html>).
    pub fn has_upload_policy(self) -> bool {
        (self.major, self.minor) >= (7, 13)
    }
}

/// A number without sign, blanks or leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn honours(label: &str) -> bool {
        Release::parse(label).expect(label).honours_log_key()
    }

    #[test]
    fn versions_compare_as_numbers() {
        let sorted = [
            "emr-4.7.2",
            "emr-5.9.0",
            "emr-5.29.1",
            "emr-5.30.0",
            "emr-6.0.0",
            "emr-6.0.1",
            "emr-6.9.0",
            "emr-6.15.0",
            "emr-7.13.0",
            "emr-10.0.0",
        ];
        let read: Vec<_> = sorted.iter().map(|l| Release::parse(l).expect(l)).collect();
        assert!(read.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_first_release_that_honours_a_key_is_5_30_0_and_6_0_0_does_not() {
        for label in [
            "emr-5.30.0",
            "emr-5.36.2",
            "emr-6.0.1",
            "emr-6.1.0",
            "emr-7.0.0",
        ] {
            assert!(honours(label), "{label}");
        }
        for label in [
            "emr-5.9.0",
            "emr-5.29.9",
            "emr-6.0.0",
            "emr-4.0.0",
            "emr-0.0.0",
        ] {
            assert!(!honours(label), "{label}");
        }
    }

    #[test]
    fn logs_go_to_cloudwatch_from_7_11_0_on() {
        let goes = |label: &str| Release::parse(label).expect(label).logs_to_cloudwatch();
        for label in ["emr-7.11.0", "emr-7.13.0", "emr-8.0.0"] {
            assert!(goes(label), "{label}");
        }
        for label in ["emr-7.10.9", "emr-7.9.0", "emr-6.15.0"] {
            assert!(!goes(label), "{label}");
        }
    }

    #[test]
    fn upload_policies_exist_from_7_13_0_on() {
        let has = |label: &str| Release::parse(label).expect(label).has_upload_policy();
        for label in ["emr-7.13.0", "emr-7.13.1", "emr-7.20.0", "emr-8.0.0"] {
            assert!(has(label), "{label}");
        }
        for label in ["emr-7.12.9", "emr-7.2.0", "emr-6.15.0", "emr-5.30.0"] {
            assert!(!has(label), "{label}");
        }
    }

    #[test]
    fn hostile_labels_are_not_releases() {
        let long = format!("emr-{}.0.0", "9".repeat(4096));
        for label in [
            "",
            "emr-",
            "emr-7",
            "emr-7.1",
            "emr-7.1.0.0",
            "emr-7.1.0-latest",
            "emr-+7.1.0",
            "emr--7.1.0",
            "emr-7.1.0 ",
            " emr-7.1.0",
            "EMR-7.1.0",
            "emr-07.1.0",
            "emr-7..0",
            "emr-7.1.0\0",
            "emr-٧.١.٠",
            "emr-4294967296.0.0",
            "spark-8.0.0-preview",
            &long,
        ] {
            assert_eq!(Release::parse(label), None, "{label:.40}");
        }
    }
}
