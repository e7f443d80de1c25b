# expect 10:5 input.a.default.b: is set already, line 9
# expect 12:5 input.a.default.__proto__: is not a permitted name
# expect 13:5 input.a.default: a key must be a plain name or a quoted string
# expect 18:7 input.__proto__: is not a permitted name
# expect 21:1 __proto__: unknown key
task_queue_target = "node"
input "a" {
  type = "object"
  default = { b = 1,
    "b" = 2,
    c = { b : 3 },
    __proto__ = {},
    (d) = 4
  }
}
# comment
# comment
input "__proto__" {
  type = "string"
}
__proto__ = 1
