import { describe, expect, test } from 'vitest'
import { coordinator, load, onNode, worker } from './test-support.ts'

describe('worker.hcl', () => {
  const host = (more: string) => load({ 'coordinator.hcl': coordinator, 'worker.hcl': `${worker}${more}` })

  test('all keys → accepted', async () => {
    const { errors, project } = await host(`
      command "look" {
        argv = ["df"]
        read_only = true
      }
      command "out" {
        argv = ["lb", "{server}"]
        params = { server = ".*" }
      }
      systemd { units = ["nginx.service", "app@*.service"] }
      diagnostics {
        commands = ["look"]
        files = ["/var/log/syslog"]
        redact = ["[0-9]{4}"]
      }
      free_disk "logs" {
        paths = ["/var/log/app"]
        pattern = ".*\\\\.log"
        older_than = "72h"
      }
      repository "shop" {
        url = "https://git.example.org/shop.git"
        tests = ["restart"]
      }
      load_balancer "web" {
        min_servers = "2"
        servers = { web-1 = "srv1" }
        haproxy {
          addresses = ["unix:/run/haproxy.sock", "10.0.0.1:9999"]
          backend = "web"
        }
      }
      load_balancer "db" {
        min_servers = 1
        command {
          list = "look"
          drain = "out"
          restore = "out"
        }
      }`)
    expect(errors).toEqual([])
    expect(project?.worker).toMatchObject({
      free_disk: { logs: { older_than: 72 * 3_600_000, keep: 0 } },
      load_balancer: { web: { min_servers: 2, timeout: 5000 } },
    })
  })

  test.each([
    ['free_disk "a" {\n paths = ["/var"]\n pattern = "x"\n older_than = "1h"\n}', 'is too near the root'],
    ['free_disk "a" {\n paths = ["/etc/nginx"]\n pattern = "x"\n older_than = "1h"\n}', 'belongs to the system'],
    ['free_disk "a" {\n paths = ["/srv/a/../../etc"]\n pattern = "x"\n older_than = "1h"\n}', 'absolute path without'],
    ['free_disk "a" {\n paths = ["logs/app"]\n pattern = "x"\n older_than = "1h"\n}', 'absolute path without'],
    ['free_disk "a" {\n paths = ["/srv/a"]\n pattern = "("\n older_than = "1h"\n}', 'linear time'],
    ['free_disk "a" {\n paths = ["/srv/a"]\n pattern = "x"\n}', 'older_than: is required'],
    ['repository "a" {\n url = "ext::sh -c x"\n tests = ["restart"]\n}', 'URL or path of a git repository'],
    ['repository "a" {\n url = "--upload-pack=x"\n tests = ["restart"]\n}', 'URL or path of a git repository'],
    ['repository "a" {\n url = "/srv/a"\n tests = ["restrt"]\n}', 'no such command; did you mean "restart"?'],
    ['diagnostics { commands = ["restart"] }', 'command restart is not read_only'],
    ['load_balancer "a" { min_servers = 1 }', 'needs an adapter'],
    ['load_balancer "a" {\n haproxy {\n addresses = ["x"]\n backend = "b"\n}\n}', 'min_servers: '],
    ['load_balancer "a" {\n min_servers = 1\n haproxy {\n addresses = ["x"]\n backend = "b"\n}\n}', 'unix:/PATH or'],
    [
      'load_balancer "a" {\n min_servers = 1\n haproxy {\n addresses = ["a:1"]\n backend = "b; shutdown"\n}\n}',
      'expected letters',
    ],
    [
      'load_balancer "a" {\n min_servers = 1\n command {\n list = "restart"\n drain = "restart"\n restore = "restart"\n}\n}',
      'command restart must have the parameter server only',
    ],
    ['systemd { units = ["a b"] }', 'name of a unit'],
  ])('%s → refused', async (block, message) => {
    const { errors } = await host(block)
    expect(errors.join('\n')).toContain(message)
  })
})

describe('commands that nobody can run, or that let too much through', () => {
  const warningsOf = async (more: string) => {
    const files = {
      'coordinator.hcl': coordinator,
      'worker.hcl': `node = "web-1"\ndatacenter = "dc1"\n${more}`,
      'workflows/wipe-and-reset.hcl': onNode,
    }
    const { errors, warnings } = await load(files)
    expect(errors).toEqual([])
    return warnings
      .filter((warning) => warning.startsWith('worker.hcl'))
      .map((line) => line.replace(/^worker.hcl:/, ''))
  }

  test.each([
    ['command "a" { argv = ["x"] }', '3:9: command.a: warning: changes the host and names no workflow, so nothing can'],
    ['command "a" {\n argv = ["x"]\n workflows = []\n}', '3:9: command.a: warning: changes the host'],
    ['command "a" {\n argv = ["x"]\n workflows = ["wipe-and-rest"]\n}', 'did you mean "wipe-and-reset"?'],
    ['systemd {\n units = ["a"]\n workflows = ["other"]\n}', '5:15: systemd.workflows[0]: warning: no such workflow'],
    ['command "a" {\n argv = ["{p}"]\n read_only = true\n params = { p = "^/bin/[a-z]+$" }\n}', 'chooses the program'],
    [
      'command "a" {\n argv = ["x", "{p}"]\n read_only = true\n params = { p = "^[a-z0-9@.-]+$" }\n}',
      '6:17: command.a.params.p: warning: lets "--force" through',
    ],
    [
      'command "a" {\n argv = ["x", "{p}"]\n read_only = true\n params = { p = "-?[0-9]{4}" }\n}',
      'lets "-0000" through',
    ],
  ])('%j → warned of', async (hcl, expected) => {
    expect(await warningsOf(hcl)).toEqual([expect.stringContaining(expected)])
  })

  test.each([
    'command "a" {\n argv = ["x"]\n workflows = ["wipe-and-reset"]\n}',
    'command "a" {\n argv = ["x"]\n read_only = true\n}',
    'command "a" {\n argv = ["x", "{p}"]\n read_only = true\n params = { p = "^[a-z0-9][a-z0-9@.-]*$" }\n}',
    'command "a" {\n argv = ["x", "{p}"]\n read_only = true\n allow_options = true\n params = { p = ".*" }\n}',
    'systemd { units = ["a"] }',
    // What a block names is run for that block alone.
    'command "a" { argv = ["x"] }\nrepository "r" {\n url = "/r"\n tests = ["a"]\n}',
  ])('%j → no warning', async (hcl) => {
    expect(await warningsOf(hcl)).toEqual([])
  })

  test('read_only command with workflows → error: nothing could enforce them', async () => {
    const { errors } = await load({
      'coordinator.hcl': coordinator,
      'worker.hcl': `${worker}command "a" {\n argv = ["x"]\n read_only = true\n workflows = ["w"]\n}`,
    })
    expect(errors).toEqual([expect.stringContaining('command.a.workflows: a read_only command needs no permit')])
  })
})
