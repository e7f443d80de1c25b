# Puts the commands and files that a host's worker.hcl allows into one bounded, redacted bundle on its disk.
task_queue_target = "node"
timeout           = "45m"

input "dry_run" { type = "bool" }

constraint {
  kind  = "concurrency"
  value = 1
  per   = "node"
}
constraint {
  kind   = "maxExecution"
  value  = 12
  period = "1h"
  per    = "node"
}
