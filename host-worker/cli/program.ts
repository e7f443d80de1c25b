/** What the `resile` command understands. The code of each subcommand is loaded only when it is called. */
import { Command, Option } from '@commander-js/extra-typings'
import { parseDuration } from '../../shared/duration.ts'
import { CommandError, EXIT } from '../process/exit-codes.ts'
import { ownVersion } from '../process/version.ts'
import { addClientCommands } from './client-commands.ts'
import { PLAINTEXT } from './coordinator-address.ts'
import { addOperatorCommands } from './operator-commands.ts'
import { addSignalsCommand } from './signals-command.ts'

/** The command with all of its subcommands; docs/reference/cli.md is generated from it. */
export function program(): Command {
  const root = new Command('resile')
    .description(
      'Automatic remediation for server fleets: decide whether a remediation may run now, then run it durably.',
    )
    .version(ownVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showHelpAfterError('(resile --help lists the commands and options)')
    .exitOverride()
    .addHelpText('after', '\nExit codes: 0 ok, 1 failed, 2 usage, 3 denied, 4 coordinator unreachable, 130 Ctrl-C')

  root
    .command('dev')
    .description('run everything on this machine: Temporal, coordinator, workers, detector')
    .option('--project <dir>', 'the project', '.')
    .option('--data <dir>', 'where state is kept (default: .resile in the project)')
    .option('--port <port>', "the coordinator's port; 0: free ports for everything (default: 8787 if free)", portNumber)
    .option('--node <spec>', 'a worker for node NAME[:TYPE[,TYPE…]][@DATACENTER]; repeatable', collect, [] as string[])
    .option('--no-workers', 'start no workers')
    .option('--no-restart', 'do not restart workers that die')
    .option('--temporal-address <host:port>', 'use this Temporal (gRPC) instead of starting one')
    .option('--temporal-http <url>', 'HTTP API of that Temporal')
    .option('--tls', 'serve HTTPS and identify callers by client certificates, which are made when missing', false)
    .addOption(new Option('--sample', 'also run a sample service that can be made sick, and heal it').default(false))
    .action(async (options) => {
      const { dev } = await import('../dev/dev.ts')
      await dev(options)
    })

  root
    .command('coordinator')
    .description(
      "run a datacenter's coordinator: terminates mutual TLS, decides on triggers, forwards them to Temporal",
    )
    .option('--project <dir>', 'the project; coordinator.hcl needs route rules', '.')
    .option('--data <dir>', 'where ledgers, keys and certificates are kept (default: .resile in the project)')
    .option('--listen <host:port>', 'where to listen (default: server_config.listen, else 127.0.0.1:8787)')
    .addHelpText(
      'after',
      '\nSIGTERM finishes what is under way; SIGHUP reloads the configuration (resile reload).\n' +
        'A socket passed by systemd (LISTEN_FDS) is used instead of --listen.',
    )
    .action(async (options) => {
      const { runCoordinator } = await import('../coordinator/run.ts')
      await runCoordinator(options)
    })

  root
    .command('reload')
    .description('have the coordinator, detector and workers of a data directory read their configuration again')
    .option('--project <dir>', 'the project', '.')
    .option('--data <dir>', 'their data directory (default: .resile in the project)')
    .option('--timeout <duration>', 'how long to wait for them', duration, 120_000)
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      '\nEach applies all of its files, or keeps what it has and says why. A worker waits until nothing runs on its host.\n' +
        'Exit codes: 0 all have reloaded, 1 one has not, 2 usage, 4 nothing runs there',
    )
    .action(async (options) => {
      const { reload } = await import('./reload-command.ts')
      await reload(options)
    })

  dataCommand(root, 'diff', "show what a reload of this machine's coordinator would change").action(async (options) => {
    const { diff } = await import('./diff-command.ts')
    await diff(options)
  })

  dataCommand(root, 'backup <file>', "save this machine's coordinator while it runs: ledgers, keys and certificates")
    .addHelpText('after', '\nThe file holds keys: keep it where only operators read.')
    .action(async (file, options) => {
      const { backup } = await import('./backup-command.ts')
      await backup(file, ownVersion(), options)
    })

  dataCommand(root, 'restore <file>', 'put back what `resile backup` has saved; the coordinator must be stopped')
    .addHelpText('after', '\nWhat is there is moved aside, never deleted. Keys and certificates that are there stay.')
    .action(async (file, options) => {
      const { restore } = await import('./backup-command.ts')
      await restore(file, options)
    })

  root
    .command('worker')
    .description("serve this node's task queues: run activities, and workflows when asked to")
    .option('--project <dir>', 'the project; its worker.hcl describes the node', '.')
    .option('--data <dir>', 'where it keeps its journal, bundles and caches (default: .resile in the project)')
    .option('--node <name>', 'the node (default: worker.hcl)')
    .option('--datacenter <name>', 'its datacenter (default: worker.hcl)')
    .option('--types <types>', 'its node types, comma-separated (default: worker.hcl)')
    .option('--coordinator <url>', 'URL of the coordinator, or unix:PATH (default: worker.hcl)')
    .option('--ca <file>', 'CA certificates to verify an https:// coordinator with (default: worker.hcl, $RESILE_CA)')
    .option('--cert <file>', 'client certificate to call it with (default: worker.hcl, $RESILE_CERT)')
    .option('--key <file>', "the certificate's key (default: worker.hcl, $RESILE_KEY)")
    .option('--plaintext', PLAINTEXT)
    .option('--temporal-address <host:port>', 'Temporal (default: worker.hcl)')
    .option('--temporal-plaintext', 'reach it without TLS, whatever worker.hcl says')
    .option('--namespace <name>', "Temporal's namespace (default: worker.hcl)")
    .option(
      '--metrics <host:port>',
      'where /metrics, /healthz and /readyz are served; also unix:PATH (default: worker.hcl, else nowhere)',
    )
    .option('--workflows [queues]', 'also run workflows of the datacenter queue; with =all, those of all its queues')
    .option(
      '--no-activities',
      "run workflows alone, under Node's permission model: no writing of files, no other processes",
    )
    .addOption(new Option('--workflow-bundle <file>', 'workflows bundled already').hideHelp())
    .addOption(new Option('--overlay <dir>', 'more commands').hideHelp())
    .addOption(new Option('--print-plan', 'print what the worker would do').default(false).hideHelp())
    .action(async (options) => {
      // esbuild must leave no child to a process that execs another program: nothing would reap it.
      process.env.ESBUILD_WORKER_THREADS = '0'
      const { worker } = await import('./worker-command.ts')
      await worker(options)
    })

  root
    .command('doctor')
    .description('say what is wrong on a host: certificates, clock, coordinator, Temporal, queues; changes nothing')
    .option('--project <dir>', 'the project; its worker.hcl describes the node', '.')
    .option('--data <dir>', "where the worker's state is kept (default: .resile in the project)")
    .option('--node <name>', 'the node (default: worker.hcl)')
    .option('--datacenter <name>', 'its datacenter (default: worker.hcl)')
    .option('--types <types>', 'its node types, comma-separated (default: worker.hcl)')
    .option('--coordinator <url>', 'URL of the coordinator, or unix:PATH (default: a running resile dev, worker.hcl)')
    .option('--ca <file>', 'CA certificates to verify an https:// coordinator with (default: worker.hcl, $RESILE_CA)')
    .option('--cert <file>', 'client certificate to call it with (default: worker.hcl, $RESILE_CERT)')
    .option('--key <file>', "the certificate's key (default: worker.hcl, $RESILE_KEY)")
    .option('--plaintext', PLAINTEXT)
    .option('--temporal-address <host:port>', 'Temporal (default: a running resile dev, worker.hcl)')
    .option('--temporal-plaintext', 'reach it without TLS, whatever worker.hcl says')
    .option('--namespace <name>', "Temporal's namespace (default: worker.hcl)")
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nExit codes: 0 nothing has failed, 1 something has, 2 usage')
    .action(async (options) => {
      const { doctor } = await import('./doctor-command.ts')
      await doctor(options)
    })

  root
    .command('detector')
    .description('watch the conditions of detectors.hcl and trigger workflows')
    .option('--project <dir>', 'the project', '.')
    .option(
      '--coordinator <url>',
      'URL of the coordinator, or unix:PATH (default: $RESILE_COORDINATOR, else the local one)',
    )
    .option('--ca <file>', 'CA certificates to verify an https:// coordinator with (default: $RESILE_CA)')
    .option('--cert <file>', 'client certificate to call it with (default: $RESILE_CERT)')
    .option('--key <file>', "the certificate's key (default: $RESILE_KEY)")
    .option('--plaintext', PLAINTEXT)
    .option('--data <dir>', 'where its state is kept (default: .resile in the project)')
    .option('--once', 'evaluate each source once, trigger what is due, and exit', false)
    .option('--explain', "say what each detector finds and why it would or wouldn't trigger; changes nothing", false)
    .option('--only <name>', 'only this detector; repeatable', collect, [] as string[])
    .option('--json', 'with --explain: print JSON', false)
    .option(
      '--metrics <host:port>',
      'where /metrics, /healthz and /readyz are served; also unix:PATH (default: nowhere)',
    )
    .addOption(new Option('--overlay <dir>', 'more detectors').hideHelp())
    .addOption(new Option('--print-plan', 'print what the daemon would do').default(false).hideHelp())
    .addHelpText('after', '\n--once and --explain exit with 1 if a source could not be evaluated.')
    .action(async (options) => {
      const { detector } = await import('./detector-command.ts')
      await detector(options)
    })

  root
    .command('check')
    .description('check all files of a project')
    .option('--project <dir>', 'the project', '.')
    .option('--json', 'print JSON', false)
    .action(async (options) => {
      const { check } = await import('./check-command.ts')
      await check(options)
    })

  root
    .command('test [file...]')
    .description("run the tests of a project's workflows (workflows/**/*.test.ts), or of the files named")
    .option('--project <dir>', 'the project', '.')
    .action(async (files, options) => {
      const { test } = await import('./test-command.ts')
      await test(files, options)
    })

  root
    .command('compile')
    .description('compile a project into the one JSON document that the coordinator is given')
    .option('--project <dir>', 'the project', '.')
    .requiredOption('--out <file>', 'where to write it')
    .option(
      '--development',
      'let every caller pass when there is no server_config',
      process.env.WRANGLER_COMMAND === 'dev',
    )
    .action(async (options) => {
      const { compileProject } = await import('./compile-command.ts')
      await compileProject(options)
    })

  root
    .command('certs')
    .description('make DEVELOPMENT certificates and a key that signs permits; not for production')
    .option('--out <dir>', 'where they are kept (default: .resile/certs in the project)')
    .option('--project <dir>', 'the project; every caller that its route rules name gets a certificate', '.')
    .option(
      '--trust-domain <name>',
      "trust domain of new SPIFFE IDs (default: that of the project's rules, else example.org)",
    )
    .option('--host <host>', 'another name or IP address of the server; repeatable', collect, [] as string[])
    .option('--client <spec>', 'a certificate for NAME[=SPIFFE_ID]; repeatable', collect, [] as string[])
    .option('--days <count>', 'how long new certificates hold, 1 to 3650', '365')
    .option('--rotate-permit-key', 'sign new permits with a new key; older keys stay, to check earlier permits', false)
    .option('--json', 'print JSON', false)
    .action(async (options) => {
      const { certs } = await import('./certs-command.ts')
      await certs(options)
    })

  root
    .command('acl')
    .description('the route rules of coordinator.hcl')
    .command('explain <method> <path>')
    .description('print which route rule decides on a request, without making it')
    .option('--uri <caller>', 'SPIFFE ID of the caller, or webhook:NAME (default: anonymous)')
    .option('--project <dir>', 'the project', '.')
    .option('--json', 'print JSON', false)
    .action(async (method, path, options) => {
      const { explainAcl } = await import('./acl-command.ts')
      await explainAcl(method, path, options)
    })

  addClientCommands(root)
  addOperatorCommands(root)
  addSignalsCommand(root)
  return root
}

/** A command on the data directory of this machine's coordinator. */
function dataCommand<Usage extends string>(root: Command, usage: Usage, description: string) {
  return root
    .command(usage)
    .description(description)
    .option('--project <dir>', 'the project', '.')
    .option('--data <dir>', "the coordinator's data directory (default: .resile in the project)")
    .option('--json', 'print JSON', false)
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function portNumber(value: string): number {
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw new CommandError(`--port must be a number from 0 to 65535, not ${JSON.stringify(value)}`, EXIT.usage)
}

function duration(value: string): number {
  const ms = parseDuration(value)
  if (ms !== null) return ms
  throw new CommandError(`--timeout must be a duration such as 90s, not ${JSON.stringify(value)}`, EXIT.usage)
}
