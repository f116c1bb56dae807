//! A key that a cluster's logs are to be under, and where it is used.

use std::sync::Arc;

use super::access::Access;
use super::inputs::{LookupError, Lookups};
use crate::model::datasets::{KmsKey, LogBucket};
use crate::model::ids::Region;
use crate::model::key_reference::{KeyArn, KeyReference};
use crate::model::text::Text;
use crate::model::words::Lookup;

/// One key of a cluster. Several channels may name it, each in its own words.
pub(super) struct KeyUse {
    /// What the first of `channels` names.
    pub reference: KeyReference,
    /// What was looked up for `reference`.
    pub row: Option<Arc<KmsKey>>,
    /// The channels under this key, `C1` first.
    pub channels: Vec<&'static str>,
    /// The places of those channels.
    pub places: Vec<UsedAt>,
    /// The key itself where it was described, else what the cluster names. An alias lies in the
    /// account and Region of its key, so account and Region hold for both
    /// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>).
    arn: Option<(KeyArn, Text)>,
    /// Who can use it; only of a described customer key.
    pub access: Option<Access>,
}

/// A place where a service uses a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum UsedAt {
    /// A bucket, and what the run holds of it.
    Bucket(Option<Arc<LogBucket>>),
    /// A log group in this Region.
    LogGroup(Region),
}

/// Who manages a key, as far as facts tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// By the name of its alias, or by DescribeKey.
    AwsManaged,
    /// DescribeKey says CUSTOMER, or the key stands in its account's list and no alias of AWS points
    /// at it.
    Customer,
    NotFound,
    NotDescribed,
    Unparseable,
}

impl UsedAt {
    /// Region of the place; `None` for a bucket that nobody read.
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::Bucket(row) => row.as_ref()?.region.as_ref(),
            Self::LogGroup(region) => Some(region),
        }
    }
}

impl KeyUse {
    /// Adds the key of a channel to those of a cluster: one entry per key, whatever it is called.
    /// References that nobody can read have no key of their own and share one entry. Returns the
    /// position of the key's entry.
    pub fn add(
        keys: &mut Vec<Self>,
        reference: KeyReference,
        channel: &'static str,
        place: UsedAt,
        lookups: &dyn Lookups,
    ) -> Result<usize, LookupError> {
        let named = match &reference {
            KeyReference::Qualified(arn) | KeyReference::AwsManaged(arn) => Some(arn),
            KeyReference::Unparseable(_) => None,
        };
        let name = named.map(ToString::to_string);
        let row = match (&reference, &name) {
            (KeyReference::Qualified(_), Some(name)) => lookups.key(name)?,
            _ => None,
        };
        let described = row.as_ref().filter(|k| k.lookup == Lookup::Found);
        let resolved = described.and_then(|k| {
            let text = k.key_arn.as_ref()?;
            Some((KeyArn::parse(text)?, text.into()))
        });
        let arn = resolved.or_else(|| Some((named?.clone(), name?.into())));
        let new = Self {
            arn,
            reference,
            row,
            channels: vec![channel],
            places: vec![place],
            access: None,
        };
        let found = keys.iter().position(|known| known.arn == new.arn);
        let position = found.unwrap_or(keys.len());
        match keys.get_mut(position) {
            None => keys.push(new),
            Some(known) => {
                for channel in new.channels {
                    if !known.channels.contains(&channel) {
                        known.channels.push(channel);
                    }
                }
                for place in new.places {
                    if !known.places.contains(&place) {
                        known.places.push(place);
                    }
                }
            }
        }
        Ok(position)
    }

    /// Who manages the key.
    pub fn standing(&self) -> Standing {
        match &self.reference {
            KeyReference::AwsManaged(_) => Standing::AwsManaged,
            KeyReference::Unparseable(_) => Standing::Unparseable,
            KeyReference::Qualified(_) => match &self.row {
                Some(row) => match (row.lookup, row.manager.as_deref()) {
                    (Lookup::Found, Some("AWS")) => Standing::AwsManaged,
                    (Lookup::Found, Some("CUSTOMER")) => Standing::Customer,
                    (Lookup::NotFound, _) => Standing::NotFound,
                    (Lookup::Unparseable, _) => Standing::Unparseable,
                    _ if row.customer_proof.is_some() => Standing::Customer,
                    _ => Standing::NotDescribed,
                },
                None => Standing::NotDescribed,
            },
        }
    }

    /// The reference as an ARN, where it has the form of one.
    pub fn named(&self) -> Option<&KeyArn> {
        match &self.reference {
            KeyReference::Qualified(arn) | KeyReference::AwsManaged(arn) => Some(arn),
            KeyReference::Unparseable(_) => None,
        }
    }

    /// The row of a key that KMS described.
    pub fn described(&self) -> Option<&KmsKey> {
        self.row.as_deref().filter(|k| k.lookup == Lookup::Found)
    }

    /// The key itself where it was described, else what the cluster names.
    pub fn arn(&self) -> Option<&KeyArn> {
        self.arn.as_ref().map(|(arn, _)| arn)
    }

    /// [`KeyUse::arn`] as text.
    pub fn name(&self) -> Option<&Text> {
        self.arn.as_ref().map(|(_, text)| text)
    }
}
