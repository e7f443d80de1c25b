# expect 8:8 mode: unknown value "manual"
# expect 10:13 valid_for: must be at most 1h
# expect 16:3 constraint[0].is_globl: unknown key; did you mean "is_global"?
# expect 18:1 constraint[1].period: maxExecution needs a period
# expect 24:12 constraint[2].period: maxUnavailable has no period
# A limit that is not understood must never be taken for no limit.
task_queue_target = "node"
mode = "manual"
timeout = "1h"
valid_for = "2h"
# next
constraint {
  kind     = "maxExecution"
  value    = 3
  period   = "24h"
  is_globl = true
}
constraint {
  kind  = "maxExecution"
  value = 1
}
constraint {
  # A share is a value of this kind alone.
  period = "5m"
  value  = "10%"
  kind   = "maxUnavailable"
}
