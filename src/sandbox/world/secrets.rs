//! Planted secrets: markers in every field that AWS returns and that an audit must not store.
//!
//! A test audits the organization and then searches everything that was written for the markers.

/// Hands out marker numbers, 1 and up.
#[derive(Debug, Default, Clone)]
pub struct Planter {
    planted: u32,
}

impl Planter {
    /// Reserves `count` markers and gives the number of the first.
    pub fn reserve(&mut self, count: u32) -> u32 {
        let first = self.planted + 1;
        self.planted += count;
        first
    }

    /// How many markers were handed out.
    pub fn planted(&self) -> u32 {
        self.planted
    }
}

/// The marker of a number. The width is fixed so that no marker is the beginning of another.
pub fn marker(number: u32) -> String {
    format!("PLANTED-SECRET-{number:07}")
}
