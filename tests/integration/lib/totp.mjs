// What an authenticator shows: one-time codes of six digits, a new one every 30 s (RFC 6238, HMAC-SHA-1).
import { createHmac } from 'node:crypto';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'; // RFC 4648

export const TOTP_STEP_MS = 30000;

// secret: base32 without padding; at: milliseconds since 1970.
export function totp(secret, at = Date.now()) {
	const bits = [...secret].map((c) => BASE32.indexOf(c).toString(2).padStart(5, '0')).join('');
	const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(at / TOTP_STEP_MS)));
	const mac = createHmac('sha1', key).update(counter).digest();
	return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}
