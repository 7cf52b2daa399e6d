//! Points between two steps of a change to something shared: where a process may die.

macro_rules! points {
    ($($point:ident)*) => {
        /// A point that is passed; in a test, a child process can be killed there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Point {
            $($point),*
        }

        #[cfg(test)]
        const ALL: &[Point] = &[$(Point::$point),*];
    };
}

points! {
    CreateLocked
    CreateCleared
    CreateDataSemaphore
    CreateSpaceSemaphore
    CreateDrafted
    CreatePublished
    AttachOpened
    AttachTaken
    AttachDone
    MetadataFilled
    MetadataWritten
    WriteReserved
    WriteMarked
    WriteFilled
    WriteAccounted
    WriteCounted
    WritePosted
    WrapGivenBack
    ReadPublished
    ReadHeld
    SpaceGivenBack
    SpaceTold
    RecoveryBegun
    RecoveryDone
    WriterLeaving
    WriterLeft
    CloseSaid
    CloseTold
    CloseRemoved
    CloseUnlocked
}

impl Point {
    /// This point is passed. Nothing but a test takes notice.
    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn passed(self) {}

    #[cfg(test)]
    pub(crate) fn passed(self) {
        tests::die_if_told_to(self);
    }
}

#[cfg(test)]
#[path = "point_tests.rs"]
mod tests;
