import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { redact } from './redact.ts'

const redacted = async (text: string): Promise<string> => (await redact(text, [])).text

describe('redaction: what names a secret', () => {
  it.each([
    ['{"text":"{\\"password\\":\\"hunter2\\"}"}', '{"text":"{\\"password\\":[redacted]}"}'],
    ['"{\\\\\\"api_key\\\\\\":\\\\\\"hunter2\\\\\\"}"', '"{\\\\\\"api_key\\\\\\":[redacted]}"'],
    ['SECRET_KEY=hunter2 and more', 'SECRET_KEY=[redacted]'],
    ['export DB_PASSWORD=hun,ter;2', 'export DB_PASSWORD=[redacted]'],
    ['PGPASSWORD=hunter2', 'PGPASSWORD=[redacted]'],
    ['MYSQL_PWD=hunter2', 'MYSQL_PWD=[redacted]'],
    ['tool --password hunter2 --verbose', 'tool --password [redacted] --verbose'],
    ['tool --db-password=hunter2 x', 'tool --db-password=[redacted] x'],
    ['<password>hunter2</password>', '<password>[redacted]</password>'],
    ['<db:clientSecret type="x">hunter2</db:clientSecret>', '<db:clientSecret type="x">[redacted]</db:clientSecret>'],
    ['<token><![CDATA[hunter2]]></token>', '<token>[redacted]</token>'],
    ['postgres://user:p@ss:w/rd@host/db', 'postgres://[redacted]@host/db'],
    ['https://hunter2@host/', 'https://[redacted]@host/'],
    ['GET /?token=hunter2&a=b', 'GET /?token=[redacted]&a=b'],
    ['GET /?X-Amz-Signature=hunter2&a=b', 'GET /?X-Amz-Signature=[redacted]&a=b'],
    ["'password' => 'hun\\'ter2', 'a'", "'password' => [redacted], 'a'"],
    ['Server=a;Password=hunter2;Database=b', 'Server=a;Password=[redacted];Database=b'],
    ['X-Api-Key: hunter2', 'X-Api-Key: [redacted]'],
    ['Set-Cookie: sid=hunter2; Path=/', 'Set-Cookie: [redacted]'],
    ['machine example.org login bob password hunter2', 'machine example.org login bob password [redacted]'],
    ['sshpass -p hunter2 ssh host', 'sshpass -p [redacted] ssh host'],
    ['curl -s -u bob:hunter2 http://host/', 'curl -s -u [redacted] http://host/'],
    ['mysql -u root -phunter2 db', 'mysql -u root -p[redacted] db'],
    ['redis-cli -h host -a hunter2 ping', 'redis-cli -h host -a [redacted] ping'],
    ['password: |\n  hunter2\n  more\nuser: bob', 'password: | [redacted]\n\n\nuser: bob'],
    ['Private-Lines: 2\nhunter2\nmore\nPrivate-MAC: x', 'Private-Lines: 2 [redacted]\n\n\nPrivate-MAC: x'],
    ['password            = hunter2 x', 'password            = [redacted] x'],
    ['password=hun<t`e)r2 x', 'password=[redacted] x'],
    ['GET /?authorization=hunter2 200', 'GET /?authorization=[redacted]'],
    ['https://hun"t?er2@host/', 'https://[redacted]@host/'],
    ['AccountName=a;AccountKey=hunter2==;EndpointSuffix=b', 'AccountName=a;AccountKey=[redacted];EndpointSuffix=b'],
    ['DB_PASS=hunter2 and more', 'DB_PASS=[redacted]'],
    ['"smtp_pass": "hunter2", "port": 25', '"smtp_pass": [redacted], "port": 25'],
    ['tool --pass hunter2 x', 'tool --pass [redacted] x'],
    ['    client-key-data: aHVudGVyMg==', '    client-key-data: [redacted]'],
    ['{"auths":{"r.io":{"auth":"Ym9iOmh1bnRlcjI="}}}', '{"auths":{"r.io":{"auth":[redacted]}}}'],
    ["CREATE USER bob IDENTIFIED BY 'hunter2';", 'CREATE USER bob IDENTIFIED BY [redacted];'],
    ["ALTER ROLE bob WITH PASSWORD 'hunter2';", 'ALTER ROLE bob WITH PASSWORD [redacted];'],
    ['{"name":"DB_PASSWORD","value":"hunter2"}', '{"name":"DB_PASSWORD","value":[redacted]}'],
    ['<add key="DbPassword" value="hunter2"/>', '<add key="DbPassword" value=[redacted]/>'],
    ['"password": {"value": "hunter2"}, "a": 1', '"password": [redacted], "a": 1'],
    ['- name: DB_PASSWORD\n  value: hunter2', '- name: DB_PASSWORD\n  value: [redacted]'],
    ['password:\n  hunter2\nuser: bob', 'password:\n  [redacted]\nuser: bob'],
    ['Password:\nhunter2', 'Password:\n[redacted]'],
    ['a=b%26password%3Dhunter2%26c=d', 'a=b%26password%3D[redacted]%26c=d'],
    ['"pass\\u0077ord":"hunter2"', '"password":[redacted]'],
    ['the password is hunter2', 'the password is [redacted]'],
    ['password for admin: hunter2', 'password for admin: [redacted]'],
    ['enable secret 5 hunter2', 'enable secret 5 [redacted]'],
    ['bob:$6$salt$Zm9vYmFyYmF6:19000:0', 'bob:[redacted]:19000:0'],
    ['db.example.org:5432:app:bob:hunter2', 'db.example.org:5432:app:bob:[redacted]'],
    ['docker login -u bob -p hunter2 r.io', 'docker login -u bob -p [redacted] r.io'],
    ['curl -sSu bob:hunter2 http://host/', 'curl -sSu [redacted] http://host/'],
    ['openssl rsa -passin pass:hunter2 -in a', 'openssl rsa -passin pass:[redacted] -in a'],
    ['api key: hunter2', 'api key: [redacted]'],
    ['passwordNew=hunter2', 'passwordNew=[redacted]'],
    ['passwort: hunter2', 'passwort: [redacted]'],
    [
      '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nhunter2\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\na',
      '[redacted]\n\n\na',
    ],
  ])('%j', async (text, expected) => {
    expect(await redacted(text)).toBe(expected)
  })
})

describe('redaction: what is no secret', () => {
  it.each([
    'Accepted publickey for deploy from 10.0.0.4 port 22 ssh2',
    'password reset requested for user 5',
    'token bucket is full: 12 of 12',
    'the secretariat: open from 9 to 5',
    'GET http://host:8080/path?email=bob@example.org 200',
    'http://127.0.0.1:8080/health',
    'nginx: 10.0.0.4 - - [26/Nov/2026:15:01:02 +0000] "GET /login HTTP/1.1" 200 12',
    'at async Worker.run (file:///opt/resile/host-worker/worker/run.ts:12:3)',
    'commit 0e56301d2f1b8e8f1d5b9f7a3c2e1d0c9b8a7f6e',
    '0197c1a0-0000-7000-8000-000000000000 started',
    'systemd[1]: Started app@1.service - The app.',
    'kernel: Out of memory: Killed process 1234 (java)',
    'SELECT id FROM users WHERE name = ? LIMIT 10',
    'load: 0.12, keys: 5, passes=3',
    'rm -pf /srv/app/cache',
    'tests: 12 passed, 0 failed; bypass=1, compass: north',
    'Failed password for invalid user bob from 10.0.0.4 port 22 ssh2',
    'unexpected token in JSON at position 12',
    'password authentication failed for user "bob"',
    '2026-11-27 12:00:00 info: started 12:5432 connections: 3',
    'tokenizer: 3 workers',
    'docker run -d nginx',
    'key: value',
  ])('%j stays', async (text) => {
    expect(await redact(text, [])).toEqual({ text, redactions: 0 })
  })
})

const ALPHANUMERIC = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
const secret = fc.string({ unit: fc.constantFrom(...ALPHANUMERIC), minLength: 36, maxLength: 60 })
/** With what passwords contain besides, but not what would end them wherever they are. */
const password = fc
  .string({ unit: fc.constantFrom(...ALPHANUMERIC, ...Array.from('!@#$%^*_-+=.:/?~')), minLength: 8, maxLength: 40 })
  .filter((text) => !text.startsWith('-'))

const CONTEXTS: Record<string, (secret: string) => string> = {
  environment: (text) => `DB_PASSWORD=${text}`,
  JSON: (text) => JSON.stringify({ before: 'x', password: text, after: 'y' }),
  'JSON within JSON': (text) => JSON.stringify({ body: JSON.stringify({ password: text, after: 'y' }) }),
  'JSON within JSON within JSON': (text) => JSON.stringify(JSON.stringify(JSON.stringify({ client_secret: text }))),
  YAML: (text) => `  api_key: "${text}"`,
  XML: (text) => `<a><secretKey>${text}</secretKey></a>`,
  option: (text) => `run --token ${text} after`,
  'option with =': (text) => `run --access-key=${text} after`,
  // A slash would have to be written as %2F there.
  URL: (text) => `postgres://bob:${text}@db.example.org/app`,
  header: (text) => `Authorization: Bearer ${text}`,
}

/** Parts of a secret that are still there: none of four characters may be. */
const leaks = (text: string, hidden: string): string[] =>
  Array.from({ length: Math.max(hidden.length - 3, 0) }, (_, index) => hidden.slice(index, index + 4)).filter((part) =>
    text.includes(part),
  )

describe('redaction: any secret', () => {
  for (const [name, context] of Object.entries(CONTEXTS)) {
    const fitting = name === 'URL' ? password.map((text) => text.replace(/[/?#]/g, '@')) : password
    property.prop([fitting])(`${name} → nothing of it is left`, async (text) => {
      const around = context('')
      const found = leaks(await redacted(context(text)), text).filter((part) => !around.includes(part))
      expect(found.filter((part) => !'[redacted]'.includes(part))).toEqual([])
    })
  }

  const MARKED = [
    'ghp_',
    'github_pat_',
    'glpat-',
    'xoxb-',
    'sk_live_',
    'AIza',
    'npm_',
    'pypi-',
    'hf_',
    'sk-',
    'hvs.',
    'glsa_',
    'dckr_pat_',
    'ATATT3xFfGF0',
    'lin_api_',
    'figd_',
    'tskey-auth-',
    'sntrys_',
    'PMAK-',
  ]
  property.prop([fc.constantFrom(...MARKED), secret])(
    'token with a known beginning, anywhere → nothing is left',
    async (mark, text) => {
      expect(leaks(await redacted(`got ${mark}${text} from the vault`), text)).toEqual([])
    },
  )
})

it.each([
  ['"password":"', '\\'],
  ['password=', 'a,'],
  ['://', ':a'],
  ['<password ', 'a '],
  ['--', 'a-'],
  ['{\\"password\\":\\"', '\\"\\\\'],
  ['', 'password'],
  ['curl ', '-u'],
  ['', '\\"'],
  ['', '://'],
  ['', 'password for '],
  ['', 'a:5432:'],
  ['docker ', '-p'],
  ['', 'password {'],
  ['', 'password%3D'],
])(
  'redaction: hostile line of %j and many %j → takes no longer than ten times an ordinary one',
  async (begin, part) => {
    const time = async (line: string): Promise<number> => {
      const began = performance.now()
      for (let times = 0; times < 5; times += 1) await redact(line, [])
      return performance.now() - began
    }
    const ordinary = 'GET /index.html 200 12 ms; '.repeat(600).slice(0, 16_000)
    await time(ordinary)
    // Quadratic time would be thousands of times as long.
    expect(await time(begin + part.repeat(16_000 / part.length))).toBeLessThan(50 + 40 * (await time(ordinary)))
  },
)
