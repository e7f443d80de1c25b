/** Type of the failure with which a workflow ends that Temporal started after its `valid_for`: it did nothing. */
export const STARTED_TOO_LATE = 'ResileStartedTooLate'

/** Type of the failure of an activity that no worker of its host took in time. */
export const HOST_UNREACHABLE = 'host_unreachable'

/** Type of the failure of a drain that would leave too few servers. */
export const TOO_FEW_SERVERS = 'too_few_servers'

/** Type of the failure of a change that was cut off, so that what it did is unknown. */
export const OUTCOME_UNKNOWN = 'OutcomeUnknown'
