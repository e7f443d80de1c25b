# Tests a revision of a repository that a host's worker.hcl allows, in a directory that is thrown away.
task_queue_target = "node"
timeout           = "4h"

input "repository" {
  type     = "string"
  required = true
}
input "revision" {
  type     = "string"
  required = true
  pattern  = "^[A-Za-z0-9][A-Za-z0-9._/-]*$"
}
input "test" {
  type     = "string"
  required = true
}
input "dry_run" { type = "bool" }

# Tests of one machine don't disturb each other.
constraint {
  kind  = "concurrency"
  value = 1
  per   = "node"
}
constraint {
  kind   = "maxExecution"
  value  = 50
  period = "1h"
}
