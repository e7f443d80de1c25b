/** The header in which the TLS terminator passes `request.cf` on; workerd removes it from every request. */
export const CF_HEADER = 'x-resile-cf'
