/**
 * What secrets look like in a line of a log or of configuration. Each pattern is for one line; what its group `kept` matches
 * stays. Repetitions are bounded or can't overlap, so that a line is searched in linear time.
 */

/** Words that name a secret, with what may follow in the same name: `secret_key`, `passwordHash`, `api-key-2`. */
const WORD = `(?:${[
  'pass(?:word|wd|phrase|code|wort)',
  'mot[ _.-]?de[ _.-]?passe',
  'contrase(?:n|ñ|ni)a',
  // Short ones stand alone in the name: no bypass, no compass.
  '(?<![a-z])(?:pass|pw|psk|creds?)(?![a-z])',
  '(?<![a-z])(?:db|ssh|ldap|smtp|user|admin|root|proxy|bind|require|my)p(?:ass|w)(?![a-z])',
  'pwd',
  'secret',
  'token(?!iz)',
  'credential',
  '(?:api|access|private|account|signing|encryption|shared|auth|session|master|license|hmac|secret)[ _.-]?key',
  'key-data',
  'session[_.-]?id',
  'jsessionid',
  'phpsessid',
  'connect\\.sid',
  'otp',
  'pin[_.-]?code',
].join('|')})`
const SUFFIX =
  '(?:[_.-]?(?:key|value|hash|string|text|base64|b64|plain|data|new|old|current|confirm(?:ation)?|secret|v?[0-9]{1,3})){0,2}s?'
/** A name on a command line or in XML, where it stands alone. */
const NAME = `[\\w.:-]{0,40}?${WORD}${SUFFIX}`

/** A quote, also within JSON that is text in JSON in turn. */
const QUOTE = '\\\\{0,15}["\'`]'
/** In quotes as they are, or behind as many backslashes as at the beginning; an end that was cut off is none. */
const QUOTED =
  '"(?:[^"\\\\]|\\\\.)*"?|\'(?:[^\'\\\\]|\\\\.)*\'?|`[^`]*`?|(?<escape>\\\\{1,15})(?<quote>["\'])[\\s\\S]*?(?:(?<!\\\\)\\k<escape>\\k<quote>|$)'
/** Up to a space or delimiter; a comma or semicolon is one only before a space or another `name=`. */
const BARE = '(?:[^\\s,;&"\'\\\\]|[,;](?!\\s|$|[\\w.-]{1,40}[=:])|\\\\(?!["\']))+'
const SCHEME = '(?:basic|bearer|digest|token|negotiate)\\s+\\S+'
const VALUE = `(?:${QUOTED}|${SCHEME}|${BARE})`
/** Where no sign says that a value follows: a word with a letter and a digit, or with a sign that words don't have. */
const ODD = '(?=\\S{0,200}[0-9!@#$%^&*])(?=\\S{0,200}[A-Za-z])[^\\s"\'<>;,]{6,}'

const after = (kept: string, secret: string, flags = 'gi'): RegExp =>
  new RegExp(`(?<kept>${kept})(?!\\[redacted])${secret}`, flags)

/** Tokens that their issuer marks, by the beginnings that it documents; their case counts. */
const MARKED: readonly string[] = [
  // GitHub
  '(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})',
  // GitLab
  'gl(?:pat|ptt|dt|rt|cbt|ft|imt|agent|soat|oas|ffct)-[A-Za-z0-9_.-]{16,}',
  // Slack
  '(?:xox[a-z](?:\\.xox[a-z])?-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,})',
  // Stripe
  '(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}',
  // Standard Webhooks
  'whsec_[A-Za-z0-9+/=]{16,}',
  // Google
  '(?:AIza[A-Za-z0-9_-]{30,}|ya29\\.[A-Za-z0-9_-]{16,}|GOCSPX-[A-Za-z0-9_-]{16,})',
  // AWS
  '(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}',
  // npm
  'npm_[A-Za-z0-9]{30,}',
  // PyPI
  'pypi-[A-Za-z0-9_-]{16,}',
  // DigitalOcean
  'do[opr]_v1_[a-f0-9]{32,}',
  // SendGrid
  'SG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}',
  // Twilio
  'SK[0-9a-f]{32}',
  // Shopify
  'shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}',
  // Hugging Face
  'hf_[A-Za-z0-9]{30,}',
  // AI services
  'sk-[A-Za-z0-9_-]{20,}',
  // HashiCorp Vault
  'hv[sbr]\\.[A-Za-z0-9_-]{20,}',
  // Terraform Cloud
  '[A-Za-z0-9]{14}\\.atlasv1\\.[A-Za-z0-9_=-]{20,}',
  // age
  'AGE-SECRET-KEY-1[A-Z0-9]{20,}',
  // Doppler
  'dp\\.(?:pt|st|ct|sa|scim|audit)\\.[A-Za-z0-9_.-]{16,}',
  // Grafana
  'gl(?:sa|c)_[A-Za-z0-9_=+/]{20,}',
  // Telegram
  '[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}',
  // Docker Hub
  'dckr_[a-z]{3}_[A-Za-z0-9_-]{16,}',
  // Atlassian, Bitbucket
  'AT(?:ATT|CTT|BB)[A-Za-z0-9_=-]{20,}',
  // Square
  'sq0[a-z]{3}-[A-Za-z0-9_-]{16,}',
  // Mailgun
  'key-[0-9a-f]{32}',
  // Brevo
  'xkeysib-[a-f0-9-]{32,}',
  // Linear, Figma, Notion, Postman
  '(?:lin_(?:api|oauth)_|fig[dou]_|ntn_|PMAK-)[A-Za-z0-9_-]{16,}',
  // PlanetScale
  'pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{16,}',
  // 1Password
  'ops_eyJ[A-Za-z0-9+/=_-]{16,}',
  // Tailscale
  'tskey-[a-z]{2,12}-[A-Za-z0-9-]{16,}',
  // RubyGems
  'rubygems_[a-f0-9]{32,}',
  // Sentry
  'sntr(?:ys|yu)_[A-Za-z0-9+/=_-]{16,}',
  // New Relic
  'NR(?:AK|II|RA)-[A-Z0-9]{16,}',
  // Cloudflare
  'cf(?:ut|at|k)_[A-Za-z0-9_-]{16,}',
  // Hashed passwords (crypt(5), PHC strings)
  '\\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|argon2(?:id|i|d)|scrypt|pbkdf2(?:-[a-z0-9]{1,8})?)\\$[./A-Za-z0-9$=,+-]{8,}',
  // JSON Web Token (RFC 7519, RFC 7516): two to five parts
  'eyJ[A-Za-z0-9_-]{8,}(?:\\.[A-Za-z0-9_-]*){2,4}',
]

/** The patterns, in the order in which they are applied: those that know where a secret ends come first. */
export const SECRET_PATTERNS: readonly RegExp[] = [
  // Authorization: Basic …, Set-Cookie: a=…; b=…: the rest of the line, or what is in quotes
  after(
    `(?:authorization|cookie|(?<![?&])x-[a-z0-9-]{0,30}(?:key|token|secret|auth|signature))(?:${QUOTE})?\\s*[=:]\\s*`,
    `(?:${QUOTED}|[^"'\\s\\\\][^"'\\\\]*)`,
  ),
  // <password>…</password>
  after(`<${NAME}(?:\\s[^<>]{0,200})?>`, '(?:<!\\[CDATA\\[.*?(?:\\]\\]>|$)|[^<]+)'),
  // DB_PASSWORD=…, at the beginning of a line: the rest of it
  after(
    `^\\s*(?:export\\s+|set\\s+)?[A-Z0-9_]{0,60}${WORD.toUpperCase()}[A-Z0-9_]{0,20}=`,
    `(?:(?:${QUOTED})|[^"'].*)`,
    'g',
  ),
  // password: …, "api_key": "…", 'token' => '…', also within JSON that is text in JSON
  after(`${WORD}${SUFFIX}(?:${QUOTE})?\\]?\\s*(?:=>|:=|[=:])\\s*`, `(?:[{[][^}\\]]*[}\\]]?|${VALUE})`),
  // the same percent-encoded
  after(`${WORD}${SUFFIX}%3[dD]`, '(?:[^\\s%&"\'<>]|%(?!26)[0-9A-Fa-f]{2})+'),
  // {"name": "DB_PASSWORD", "value": "…"}, <add key="DbPassword" value="…"/>
  after(`${WORD}${SUFFIX}(?:${QUOTE})[\\s,;]*(?:${QUOTE})?value(?:${QUOTE})?\\s*[=:]\\s*`, VALUE),
  // "auth": "…", as in docker's config.json
  after(`${QUOTE}auth${QUOTE}\\s*:\\s*`, '"[A-Za-z0-9+/=_-]{8,}"?'),
  // 'Authorization', '…'
  after(`(?:authorization|cookie|x-[a-z0-9-]{0,30}(?:key|token|secret|auth))${QUOTE}\\s*,\\s*`, `(?:${QUOTED})`),
  // IDENTIFIED BY '…', WITH PASSWORD '…'
  after('\\b(?:identified\\s+(?:with\\s+\\S{1,60}\\s+)?(?:by|as)|password)\\s+(?:password\\s+)?', "'[^']*'?"),
  // the password is …, password for admin: …, token …
  after(`${WORD}${SUFFIX}\\s+(?:(?:is|was|for|of)\\s+)?`, ODD),
  after(`${WORD}${SUFFIX}\\s+(?:for|of)\\s+[^\\s:=]{1,60}\\s*[=:]\\s*`, VALUE),
  // enable secret 5 …, snmp-server community …, masterauth …, of routers and servers
  after('^\\s{0,16}(?:\\S{1,40}\\s+){0,3}(?:password|secret)\\s+\\d\\s+', '\\S+'),
  after('^\\s{0,16}(?:snmp-server\\s+community|(?:[rp]o)?community|masterauth|rootpw|requirepass|bindpw)\\s+', '\\S+'),
  // host:port:database:user:password (pgpass)
  after('^[^\\s:]{1,100}:(?:\\d{4,5}|\\*):[^\\s:]{1,64}:[^\\s:]{1,64}:', '\\S+$'),
  // --password …, --db-token=…
  after(`--?${NAME}(?:\\s+|=)`, `(?!-)${VALUE}`),
  after('\\bsshpass\\s+-p\\s*', VALUE),
  after('\\bredis-cli\\b[^|;]{0,200}?\\s-a\\s+', VALUE),
  after('\\b(?:mysql|mysqldump|mysqladmin|mariadb)\\b[^|;]{0,200}?\\s-p', `(?!\\s)${VALUE}`),
  after('\\bcurl\\b[^|;]{0,200}?\\s(?:-[a-zA-Z]{0,8}u|--user|--proxy-user|--oauth2-bearer)[\\s=]+', VALUE),
  after('\\b(?:docker|podman|mongo(?:sh|dump|restore|export|import)?)\\b[^|;]{0,200}?\\s-p\\s*', VALUE),
  after('\\bldap[a-z]{1,12}\\b[^|;]{0,200}?\\s-w\\s*', VALUE),
  after('\\bmosquitto_[a-z]{3}\\b[^|;]{0,200}?\\s-P\\s*', VALUE),
  after('\\bsmbclient\\b[^|;]{0,200}?\\s-U\\s*[^\\s%]{1,60}%', VALUE),
  after('\\bopenssl\\b[^|;]{0,200}?\\s-[kK]\\s+', VALUE),
  after('\\s-pass(?:in|out)?\\s+pass:', '\\S+'),
  // machine … login … password …, in one line or in several (netrc)
  after('\\bmachine\\s[^\\n]{0,200}?\\s(?:password|account)\\s+', '\\S+'),
  after('^\\s{0,16}(?:password|account)\\s+', '\\S+(?=\\s*$)'),
  after('\\bbearer\\s+', '[A-Za-z0-9._~+/=-]{8,}'),
  // user:password@ in a URL, whatever the password contains; host:port is none
  after(':\\/\\/', '[^\\s"\'<>/:@]{0,100}:(?!\\d{1,5}(?:[/?#\\s]|$))[^\\s"\'<>]{0,128}(?=@)'),
  after(':\\/\\/', '[^\\s/]{1,512}(?=@)'),
  // ?token=…, &X-Amz-Signature=…, a shared access signature
  after('(?:^|[\\s;,])(?:sig|signature)=', '[^\\s&"\'<>]{16,}'),
  after('[?&](?:key|sig|signature|code|auth|x-amz-(?:signature|credential|security-token))=', '[^\\s&"\'<>]+'),
  after('(?:hooks\\.slack\\.com/(?:services|workflows)|discord(?:app)?\\.com/api/webhooks)/', '[\\w/-]+'),
  ...MARKED.map((source) => new RegExp(`(?<kept>)(?<![A-Za-z0-9])${source}`, 'g')),
]

/** The name of a secret whose value is on the lines that follow, further indented: a block scalar of YAML. */
export const BLOCK_SCALAR = new RegExp(
  `^(?<indent>\\s*)(?:-\\s+)?["']?[\\w.-]{0,60}${WORD}${SUFFIX}["']?\\s*:\\s*[|>][+-]?\\d?[+-]?\\s*$`,
  'i',
)

/** The name of a secret whose value is on the next line: of YAML, of a prompt, or the name of a variable in a list of them. */
export const VALUE_FOLLOWS = new RegExp(`${WORD}${SUFFIX}["']?\\s*[:=]\\s*$`, 'i')
export const NAME_OF_VALUE = new RegExp(
  `^\\s*(?:-\\s+)?["']?(?:name|key)["']?\\s*[:=]\\s*["']?${NAME}["']?,?\\s*$`,
  'i',
)
/** The value that belongs to such a name. */
export const NAMED_VALUE = /^(?<kept>\s*["']?value["']?\s*[:=]\s*)\S.*$/i

/** The number of lines that a private key of PuTTY has. */
export const PUTTY_LINES = /^Private-Lines:\s*(?<count>\d{1,4})\s*$/
