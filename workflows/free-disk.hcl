# Removes old files by a rule of the host's own worker.hcl, and reports what was freed.
task_queue_target = "node"
timeout           = "1h"

input "rule" {
  type     = "string"
  required = true
}
input "until_free_percent" { type = "number" }
input "dry_run" { type = "bool" }

constraint {
  kind  = "concurrency"
  value = 1
  per   = "node"
}

# A disk that fills faster than this needs a human.
constraint {
  kind   = "maxExecution"
  value  = 4
  period = "24h"
  per    = "node"
}
