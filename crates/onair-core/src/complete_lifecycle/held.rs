//! Reasons for which `complete-lifecycle` answers `held`.

use strum::{IntoStaticStr, VariantNames};

/// The reason for which an instance, or the group, waits for a decision of a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum HeldReason {
    /// In such a group, `Warmed:Pending:Wait` belongs to either hook, and an instance that leaves
    /// the pool may have served.
    #[error(
        "the group returns instances to its warm pool, or did so before (ReuseOnScaleIn): \
         it is unknown which hook the instance waits for, and whether it has served"
    )]
    WarmPoolReuse,
    /// Without the time at which the wait began, a command of an earlier wait could count for this
    /// one.
    #[error(
        "no scaling activity in progress names the instance: \
         commands of this wait cannot be distinguished from commands of an earlier one"
    )]
    NoScalingActivity,
    /// The group was deleted, or the name is wrong.
    #[error("Auto Scaling group {group:?} does not exist")]
    GroupNotFound {
        /// The group that the settings name.
        group: String,
    },
}

impl crate::held::HeldReason for HeldReason {
    fn code(&self) -> &'static str {
        self.into()
    }
}
