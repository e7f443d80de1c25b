# expect 7:1 task_queue_target: is set already, line 6
# expect 10:14 input.unit.pattern: only an input of type "string" has a pattern
# expect 14:1 input: needs one label: input "…" { … }
# expect 21:7 input.unit: is defined already, line 8
# expect 28:15 constraint[0].per: per and is_global are mutually exclusive
task_queue_target = "node"
task_queue_target = "node"
input "unit" {
  type     = "number"
  pattern  = "x"
}
# comment
# comment
input {
  type = "string"
}
# comment
# comment
# comment
# comment
input "unit" {
  type = "string"
}
constraint {
  kind      = "concurrency"
  value     = 1
  is_global = true
  per       = "node"
}
