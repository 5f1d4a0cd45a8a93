//! Each check turns red when it is fed a broken history.
