/** Type of the failure with which a workflow ends that Temporal started after its `valid_for`: it did nothing. */
export const STARTED_TOO_LATE = 'ResileStartedTooLate'
