//! Who misbehaves: statistics, reputation, assessment and quarantine of the other replicas. Pure: time and events come in, steps come out.
