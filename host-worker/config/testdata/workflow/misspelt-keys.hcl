# expect 7:1 task_queue_traget: unknown key; did you mean "task_queue_target"?
# expect 8:1 escalaton: unknown key; did you mean "escalation"?
# expect 9:1 constrant: unknown key; did you mean "constraint"?
# expect 14:1 color: unknown key
# expect 18:10 input.who.type: unknown value "str"
# What a misspelt key should have been is not reported as missing.
task_queue_traget = "node"
escalaton { receiver = "oncall" }
constrant {
  kind = "nonsense"
}
# comment
# comment
color = "blue"
# comment
input "who" {
  # comment
  type = "str"
}
