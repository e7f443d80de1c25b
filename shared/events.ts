/**
 * Every log event and what it means. `log()` takes no other name, so an event without a description does not compile.
 * docs/reference/events.md is generated from this file by `npm run docs`.
 */

/** Logged by the coordinator: the Worker with its Durable Objects, and the Node process in front of it. */
export const COORDINATOR_EVENTS = {
  alarm_failed: 'The alarm of a ledger threw an error; it runs again.',
  approval: 'An operator approved an execution.',
  audit_failed: "Temporal's Visibility could not be read; the audit is repeated.",
  cancel: 'An operator canceled an execution.',
  certificates_not_reloaded: 'Changed certificate files cannot be used; the previous certificates stay in use.',
  certificates_reloaded: 'Changed certificate files are in use.',
  check_unknown: 'Temporal did not say whether an execution is still open; it is asked again.',
  child_ended: 'workerd ended.',
  child_ready: 'workerd answers.',
  child_restarting: 'workerd is started again after a delay.',
  child_started: 'workerd was started.',
  clock_set_back: "The coordinator's clock was set back; what was due later is due now.",
  closed: 'An execution ended; the level is `info` if it completed.',
  coordinator_hangs: 'workerd does not answer; it is killed and started again.',
  coordinator_not_started: 'workerd could not be started again after a change of keys, secrets or configuration.',
  decision: 'A trigger was decided.',
  escalation_failed: 'A receiver did not acknowledge a message; it is sent again.',
  escalation_given_up: 'A message to a receiver will not be sent again.',
  escalation_sent: 'A receiver acknowledged a message.',
  execution_resumed: 'An execution that made no progress goes on.',
  execution_stuck: "An execution makes no progress: its workflow's code fails, or no worker takes it.",
  freeze: 'An operator created a freeze.',
  front_failed: 'The TLS listener failed.',
  hand_in_failed: "A global ledger could not read the datacenters' ledgers; it denies until it can.",
  import_done: 'A ledger without rows has imported what Temporal knows.',
  imported: 'A ledger imported an execution that this coordinator admitted earlier.',
  lost: 'Temporal no longer knows an execution; it counts until an operator settles it.',
  nodes_not_taken_over:
    'Live nodes could not be handed to the workerd that replaces another; they are known with their next heartbeats.',
  no_tls: '`enable_tls` is false: every caller is anonymous.',
  permit_keys_hidden: 'No route rule lets workers read the permit keys.',
  permit_keys_not_reloaded: 'The changed permit key file cannot be used; the previous keys stay in use.',
  permit_keys_reloaded: 'Changed permit keys are in use.',
  rejection: 'An operator rejected an execution.',
  reopened: 'An execution that had ended runs again, because it was reset in Temporal.',
  request: 'The access log: one HTTP request and its answer.',
  request_failed: 'A request ended in an unexpected error (500).',
  request_refused: 'The TLS listener refused a request before it reached the Worker.',
  reset: 'An operator reset a tripped `maxFailure`.',
  previous_secret_missing: 'The file of a previous secret does not exist: that secret is not accepted.',
  rows_lost: 'A ledger found a decision of its own that it has no row for; it imports from Temporal again.',
  secret_invalid: 'The secret of a webhook or receiver is missing or unusable.',
  settled: 'An operator settled a lost execution.',
  settlement_failed: 'A start or an end could not be reported to a global ledger; the report is repeated.',
  secrets_not_reloaded: 'A changed file of a secret cannot be used; the previous secrets stay in use.',
  secrets_reloaded: 'Changed secrets are in use.',
  signals_dropped:
    'Signals were dropped: too many in one request, cut by their sender, or in a request that was refused.',
  signals_not_recorded: 'Episodes could not be recorded for signal statistics; triggers are not affected.',
  slack_refused: 'An approval or rejection by a Slack button was refused.',
  slack_response_failed: 'An answer to Slack could not be delivered.',
  start_refused: 'Temporal refused a start for good; the execution failed.',
  start_unknown: 'It is unknown whether Temporal took a start; it is sent again.',
  started: 'Temporal confirmed the start of an execution.',
  started_past_coordinator: 'An execution was started in Temporal without an admission; it counts.',
  step_failed: 'A step of the outbox threw an error; it is repeated.',
  stopping: 'SIGTERM or SIGINT arrived: no new connections, open requests are finished.',
  thaw: 'A freeze was lifted.',
  tripped: 'A `maxFailure` limit was reached; nothing more is admitted until `resile reset`.',
  void_unknown: 'It is unknown whether an execution was voided; it is tried again.',
} as const

/** Logged by `resile worker`. */
export const WORKER_EVENTS = {
  change_not_withdrawn: 'The change journal could not be updated before a repeatable change is made again.',
  checkout_not_removed: 'The working copy of a tested revision could not be removed.',
  temporal_credentials_not_reloaded:
    'The changed credentials for Temporal cannot be used; the previous connection stays in use.',
  temporal_credentials_reloaded: 'The connection to Temporal uses changed credentials.',
  connection_not_closed: 'The connection to Temporal could not be closed when the worker stopped.',
  heartbeat: 'The coordinator accepts heartbeats of this node.',
  heartbeat_failed: 'The coordinator did not accept a heartbeat.',
  holder_not_recorded: 'The change journal could not record which process holds a change.',
  journal_without_room: 'The change journal could not reserve disk space; changes may be refused on a full disk.',
  outcome_not_recorded: 'A change was made, but its outcome could not be written to the change journal.',
  permit_keys_read: 'Permit keys can be read again after failures.',
  permit_keys_unavailable: 'Permit keys could not be read from one source.',
  change_deferred:
    'A node is frozen, or a reset execution is one too many: nothing was changed, and it is tried again.',
  processes_survive: 'Processes that a command started could not be ended, not even by SIGKILL.',
  permit_refused: 'An activity that changes the host had no valid permit.',
  permit_unverified: 'A permit could not be verified: no keys, or Temporal does not answer; it is tried again.',
  temporal_reachable: 'Temporal answers.',
  temporal_sdk: "A warning or error of Temporal's SDK.",
  temporal_unreachable: 'Temporal does not answer; the worker keeps trying.',
  worker_failed: 'The worker ended with an error.',
  worker_not_drained: 'Work was still running when the time to stop was over; the worker exits.',
  worker_started: 'The worker polls its queues.',
  workflow_not_bundled: 'The code of a workflow cannot be bundled; this worker does not serve it.',
} as const

/** Logged by `resile detector`. */
export const DETECTOR_EVENTS = {
  cleared: 'An episode ended.',
  clock_set: "The host's clock was set, or the host slept; that time does not count for `for` and `clear_for`.",
  condition: 'An episode began.',
  detector_failed: 'The daemon ended with an error.',
  detector_sees: 'A source can be evaluated again after failures.',
  detector_state_broken: 'The state file was corrupt and was moved aside; what holds now triggers again.',
  detector_state_not_written: 'The state cannot be written; nothing new is triggered.',
  detector_state_without_room: 'The state file could not reserve disk space.',
  detectors_started: 'The daemon evaluates its detectors.',
  evaluation_failed: 'A source could not be evaluated; nothing fires or clears.',
  journal_entries_lost: 'Entries of the systemd journal may be missing since the given time.',
  journal_entry_unreadable: 'An entry of the systemd journal was skipped.',
  journal_message_cut: 'A journal message is longer than 64 KiB; only its beginning is matched.',
  journal_state_unusable: 'The saved position in the systemd journal cannot be used.',
  journal_unreadable: 'The systemd journal cannot be read.',
  log_caught_up: 'A log file is read to its end again.',
  log_directory_unreadable: 'The directory of a log cannot be listed; rotated files are not found.',
  log_gone: 'A log file was removed; no lines are known to be lost.',
  log_lags: 'A log grows faster than it is read.',
  log_lines_cut: 'Lines of more than 64 KiB were cut.',
  log_lines_lost: 'Lines of a log were lost, or may have been.',
  log_missing: 'A log file does not exist.',
  log_resumed: 'A log file that was gone is back, or was replaced by a copy; it is read on from where it was.',
  log_state_unusable: 'The saved positions in log files cannot be used.',
  log_truncated: 'A log file was truncated; no lines are known to be lost.',
  log_unreadable: 'A log file cannot be read; the detector cannot be evaluated.',
  notices_dropped: 'More notices than can be logged were dropped; `number` says how many.',
  schedule_clock_set_back: 'The clock was set back by more than a day; the schedule continues from the new time.',
  schedule_missed: 'Scheduled starts were missed because no daemon was running.',
  signal_refused: 'The coordinator refused a report about an episode; the report is dropped.',
  signals_not_reported: 'Episodes could not be reported for signal statistics; triggers are not affected.',
  trigger_failed: 'A trigger got no decision; it is sent again.',
  reconsidering_forbidden: 'No route rule lets a detector ask whether a denied trigger would be admitted now.',
  triggers_held: "The detector's `limit`, or state that cannot be written, holds triggers back.",
} as const

/** Logged by more than one of them. */
export const SHARED_EVENTS = {
  config_not_reloaded: 'The changed configuration cannot be used; `detail` says why. The previous one stays in use.',
  config_reloaded: 'The configuration was read again and is in use.',
  loaded_config_not_written:
    'The configuration in use could not be noted in the data directory: `resile diff` compares with an older one.',
  reload_result_not_written: 'The outcome of a reload could not be written to the data directory; only the log has it.',
  service_manager_not_told: 'systemd could not be told that the process is ready or lives.',
  compile_cache_unavailable: "Node's compile cache cannot be used; the process takes more memory.",
  metrics: 'The address at which `/metrics`, `/healthz` and `/readyz` are served.',
  trigger_denied: 'A trigger was denied and is sent again (`info`), or refused for a mistake to fix (`warn`, `error`).',
} as const

/** The name of a log event. */
export type EventName =
  | keyof typeof COORDINATOR_EVENTS
  | keyof typeof WORKER_EVENTS
  | keyof typeof DETECTOR_EVENTS
  | keyof typeof SHARED_EVENTS

/** Events that deserve an alert, as the documentation recommends. */
export const ALERT_ON: readonly EventName[] = [
  'certificates_not_reloaded',
  'config_not_reloaded',
  'coordinator_hangs',
  'coordinator_not_started',
  'detector_state_not_written',
  'escalation_given_up',
  'evaluation_failed',
  'execution_stuck',
  'heartbeat_failed',
  'lost',
  'permit_refused',
  'rows_lost',
  'start_refused',
  'started_past_coordinator',
  'step_failed',
  'temporal_unreachable',
  'trigger_denied',
  'tripped',
  'worker_failed',
  'worker_not_drained',
  'workflow_not_bundled',
]
