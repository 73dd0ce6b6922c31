//! This file says what a machine of the benchmark runs.

/// What a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plan {
    /// Services.
    pub services: usize,
    /// The last so many of them do not end by SIGTERM.
    pub deaf: usize,
    /// Each after the one before it.
    pub is_chain: bool,
}

impl Plan {
    /// So many services side by side.
    #[must_use]
    pub fn flat(services: usize) -> Self {
        Self {
            services,
            deaf: 0,
            is_chain: false,
        }
    }

    /// So many, each after the one before it.
    #[must_use]
    pub fn chain(services: usize) -> Self {
        Self {
            is_chain: true,
            ..Self::flat(services)
        }
    }

    /// What the service with that index is told to do.
    #[must_use]
    pub fn verb(&self, index: usize) -> &'static str {
        if index + self.deaf >= self.services {
            "deaf"
        } else {
            "stay"
        }
    }

    /// The plan in a word, for rows and files.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = self.services.to_string();
        if self.is_chain {
            label.push_str("-chain");
        }
        if self.deaf > 0 {
            label.push_str(&format!("-deaf-{}", self.deaf));
        }
        label
    }
}
