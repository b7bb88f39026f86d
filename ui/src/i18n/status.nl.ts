// The sentences that tell why an item of the status document is not well, in Dutch. They are fixed ones with numbers and
// names in them ({}), by the section they are of; what is none of them is shown as it came.

export type Sentences = Readonly<Record<string, readonly (readonly [sent: string, dutch: string])[]>>;

export const sentences: Sentences = {
  host: [
    ['{} % full', '{} % vol'],
    ['{} % of the inodes are used', '{} % van de inodes is in gebruik'],
    ['{} % in use for a while', 'al een tijd {} % in gebruik'],
    ['{} % in use', '{} % in gebruik'],
    ['everything waits for memory {} % of the time', 'alles wacht {} % van de tijd op geheugen'],
    ['a restart is needed to finish updates', 'een herstart is nodig om updates af te maken'],
    ['1 security update', '1 beveiligingsupdate'],
    ['{} security updates', '{} beveiligingsupdates'],
    ['the journal cannot be read: {}', 'het journaal is niet te lezen: {}'],
  ],
  docker: [
    ['unhealthy: its health check failed {} times in a row', 'ongezond: de controle mislukte {} keer achter elkaar'],
    ['restarted by Docker {} s ago, {} times since it was created', '{} s geleden door Docker herstart, {} keer sinds hij is gemaakt'],
    ['ended: it needed more memory than it may have', 'beëindigd: had meer geheugen nodig dan toegestaan'],
    ['ended with exit code {}', 'gestopt met afsluitcode {}'],
    ['stopped, though its restart policy is {}', 'gestopt, hoewel het herstartbeleid {} is'],
    ['ends again and again: exit code {}, restarted {} times', 'stopt telkens weer: afsluitcode {}, {} keer herstart'],
    ['paused', 'gepauzeerd'],
    ['dead: Docker could not remove it', 'dood: Docker kon hem niet verwijderen'],
    ['created, but not started', 'gemaakt, maar niet gestart'],
    ["its state is '{}'", 'de toestand is ‘{}’'],
    ['{} more containers are not shown', 'nog {} containers worden niet getoond'],
  ],
  units: [
    ['there is no such unit', 'deze unit is er niet'],
    ['is masked: it cannot be started', 'is gemaskeerd: kan niet worden gestart'],
    ['its unit file is not in order ({})', 'het unitbestand is niet in orde ({})'],
    ['has failed', 'is mislukt'],
    ['has failed ({})', 'is mislukt ({})'],
    ['ended, and is about to be restarted', 'gestopt, en wordt zo herstart'],
    ['is starting ({})', 'wordt gestart ({})'],
    ['is stopping ({})', 'wordt gestopt ({})'],
    ['is not running', 'draait niet'],
  ],
  certificates: [
    ['expired today', 'vandaag verlopen'],
    ['expired 1 days ago', '1 dag geleden verlopen'],
    ['expired {} days ago', '{} dagen geleden verlopen'],
    ['expires in 0 days', 'verloopt vandaag'],
    ['expires in 1 days', 'verloopt over 1 dag'],
    ['expires in {} days', 'verloopt over {} dagen'],
    ['is not valid yet', 'is nog niet geldig'],
    ['is not for the name {}', 'is niet voor de naam {}'],
    ['no trusted root vouches for it: its chain is incomplete, or it is self-signed', 'geen vertrouwde uitgever staat ervoor in: de keten is onvolledig, of het heeft zichzelf ondertekend'],
    ['does not verify: {}', 'klopt niet: {}'],
  ],
  urls: [
    ['its certificate does not verify: {}', 'het certificaat klopt niet: {}'],
    ['is no http or https address', 'is geen http- of https-adres'],
    ['answers {} instead of {}', 'antwoordt {} in plaats van {}'],
    ["the answer does not hold '{}'", 'in het antwoord staat ‘{}’ niet'],
  ],
  repositories: [
    ['1 changed file', '1 gewijzigd bestand'],
    ['{} changed files', '{} gewijzigde bestanden'],
    ['1 commit behind {}', '1 commit achter op {}'],
    ['{} commits behind {}', '{} commits achter op {}'],
    ['1 commit not in {}', '1 commit niet in {}'],
    ['{} commits not in {}', '{} commits niet in {}'],
    ["git's answer makes no sense", 'het antwoord van git klopt niet'],
  ],
  backups: [
    ['is {} hours old', 'is {} uur oud'],
    ['is {} days old', 'is {} dagen oud'],
    ['is less than half as large as usual', 'is minder dan half zo groot als gewoon'],
    ['the folder cannot be read by the probes', 'de map is voor de agent niet te lezen'],
    ['too many files match', 'er passen te veel bestanden bij het patroon'],
    ['no backup yet: no file matches its pattern', 'nog geen back-up: geen bestand past bij het patroon'],
    ['no file matches its pattern', 'geen bestand past bij het patroon'],
  ],
  updater: [
    ['the last update was taken back: {}', 'de laatste update is teruggedraaid: {}'],
    ['the last update failed: {}', 'de laatste update is mislukt: {}'],
    ['the history of updates cannot be read: {}', 'de geschiedenis van updates is niet te lezen: {}'],
    ['the last line of the history of updates makes no sense', 'de laatste regel van de geschiedenis van updates klopt niet'],
  ],
  database: [
    ['{} of {} connections are in use', '{} van {} verbindingen zijn in gebruik'],
    ['a transaction has been idle for {}', 'een transactie ligt al {} stil'],
    ['a statement has been running for {}', 'een opdracht loopt al {}'],
    ['this standby is behind by {}', 'deze standby loopt {} achter'],
    ['a replica is behind by {}', 'een replica loopt {} achter'],
    ['{} pages did not match their checksum: restore from a backup', '{} pagina’s klopten niet met hun controlesom: zet een back-up terug'],
    ['the oldest transaction id is {} million old: vacuum', 'het oudste transactie-id is {} miljoen oud: vacuum'],
    ['{} % of the rows are dead: is autovacuum running?', '{} % van de rijen is dood: draait autovacuum?'],
  ],
};

/** The sentence in Dutch; null: it is none of the known ones. */
export function translate(known: Sentences, section: string, sent: string): string | null {
  if (!Object.hasOwn(known, section)) return null;
  for (const [pattern, dutch] of known[section]!) {
    const parts = pattern.split('{}').map((p) => p.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const found = new RegExp(`^${parts.join('(.+)')}$`).exec(sent);
    if (!found) continue;
    let i = 0;
    return dutch.replace(/\{\}/g, () => found[++i]!);
  }
  return null;
}
