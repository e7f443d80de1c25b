import { describe, expect, it } from 'vitest'
import { checkPolicy } from './check-policy.ts'

const own = checkPolicy([], ['web-1', 'Web-1.example.org'])
const permits = (policy: ReturnType<typeof checkPolicy>, url: string): boolean =>
  policy.refuseUrl(new URL(url)) === null
/** The same for a name that resolves to an address. */
const permitsAt = (policy: ReturnType<typeof checkPolicy>, url: string, address: string): boolean =>
  permits(policy, url) && policy.refuseAddress(new URL(url), address) === null

describe('check policy without hosts', () => {
  it.each([
    'http://127.0.0.1:8080/',
    'https://127.1.2.3/',
    'http://[::1]/',
    'http://2130706433/',
    'http://[::ffff:127.0.0.1]/',
  ])('permits %s: the host itself', (url) => expect(permits(own, url)).toBe(true))

  it.each([
    ['http://localhost:1/', '127.0.0.1'],
    ['http://WEB-1/', '10.0.0.4'],
    ['http://web-1.example.org./', '10.0.0.4'],
    // Wherever a name leads to, the host may request itself.
    ['http://elsewhere.example.org/', '127.0.0.1'],
  ])('permits %s at %s', (url, address) => expect(permitsAt(own, url, address)).toBe(true))

  it.each([
    ['http://web-2/', '10.0.0.5'],
    ['http://web-1.evil.example/', '10.0.0.5'],
    ['http://xweb-1/', '10.0.0.5'],
  ])('refuses %s at %s, and names the line to add', (url, address) => {
    expect(own.refuseAddress(new URL(url), address)).toContain(`add hosts = ["${new URL(url).hostname}"]`)
  })

  it.each(['http://10.0.0.5/', 'http://[2001:db8::1]/', 'http://0/', 'http://[::]/'])('refuses the address %s', (url) =>
    expect(permits(own, url)).toBe(false),
  )
})

describe('check policy with hosts', () => {
  const some = checkPolicy(['lb.example.org', '*.internal', '10.1.0.0/16', '2001:db8::/32', '192.0.2.7'], [])

  it.each([
    ['http://lb.example.org/', '203.0.113.1'],
    ['http://a.b.internal/', '203.0.113.1'],
    ['http://other.example.org/', '10.1.2.3'],
    ['http://other.example.org/', '2001:db8::7'],
    ['http://192.0.2.7/', '192.0.2.7'],
    ['http://10.1.255.255/', '10.1.255.255'],
  ])('permits %s at %s', (url, address) => expect(permitsAt(some, url, address)).toBe(true))

  it.each([
    ['http://internal/', '203.0.113.1'],
    ['http://evilinternal/', '203.0.113.1'],
    ['http://x.lb.example.org/', '203.0.113.1'],
    ['http://other.example.org/', '10.2.0.1'],
    ['http://192.0.2.8/', '192.0.2.8'],
  ])('refuses %s at %s', (url, address) => expect(permitsAt(some, url, address)).toBe(false))
})

describe('check policy that allows all', () => {
  const all = checkPolicy(['*', '0.0.0.0/0', '::/0'], [])

  it.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://0251.0376.0251.0376/',
    'http://[::ffff:169.254.169.254]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[2002:a9fe:a9fe::]/',
    'http://[64:ff9b::100.100.100.200]/',
    'http://[64:ff9b::168.63.129.16]/',
    'http://[64:ff9b::192.0.0.192]/',
    'http://[64:ff9b:1::169.254.169.254]/',
    'http://[64:ff9b:1:a9fe:a9:fe00::]/',
    'http://[2002:6464:64c8::1]/',
    'http://[2002:a83f:8110::]/',
    'http://[::169.254.169.254]/',
    'http://[::ffff:0:169.254.169.254]/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
    'http://168.63.129.16/',
    'http://user:secret@127.0.0.1/',
    'data:,ok',
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'ws://127.0.0.1/',
  ])('refuses %s all the same', (url) => expect(permits(all, url)).toBe(false))

  it('refuses a name that resolves to a metadata address', () => {
    expect(permitsAt(all, 'http://metadata.example.org/', '169.254.169.254')).toBe(false)
    expect(permitsAt(all, 'http://metadata.example.org/', '64:ff9b::a9fe:a9fe')).toBe(false)
    expect(permitsAt(all, 'http://example.org/', '203.0.113.1')).toBe(true)
    expect(permitsAt(all, 'http://example.org/', '64:ff9b::203.0.113.1')).toBe(true)
    expect(permitsAt(all, 'http://example.org/', '::1')).toBe(true)
  })
})
