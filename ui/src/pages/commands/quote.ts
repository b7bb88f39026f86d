/** One argument as a POSIX shell would read it back. For reading and copying: nothing is run so. */
export function quoteArg(arg: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replace(/'/g, `'\\''`)}'`;
}

export const quoteArgv = (argv: readonly string[]): string => argv.map(quoteArg).join(' ');
