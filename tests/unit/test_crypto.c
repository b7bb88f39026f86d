#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/base/hex.h"

static void assert_hex(const uint8_t *bytes, size_t n, const char *expected)
{
	char hex[512];

	assert_true(2 * n < sizeof(hex));
	hex_encode(bytes, n, hex);
	assert_string_equal(hex, expected);
}

static void repeat(uint8_t *out, uint8_t byte, size_t n)
{
	memset(out, byte, n);
}

static void count_up(uint8_t *out, uint8_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(first + i);
}

/* FIPS 180-4 examples. */
static void sha256_agrees_with_the_standard(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	struct crypto_sha256 ctx;
	uint8_t out[CRYPTO_SHA256_BYTES], block[1000];

	(void)state;
	crypto_sha256("", 0, out);
	assert_hex(out, sizeof(out),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	crypto_sha256("abc", 3, out);
	assert_hex(out, sizeof(out),
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypto_sha256(two_blocks, sizeof(two_blocks) - 1, out);
	assert_hex(out, sizeof(out),
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	repeat(block, 'a', sizeof(block));
	crypto_sha256_init(&ctx);
	for (int i = 0; i < 1000; i++)
		crypto_sha256_update(&ctx, block, sizeof(block));
	crypto_sha256_final(&ctx, out);
	assert_hex(out, sizeof(out),
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void a_running_sha256_may_be_looked_at_half_way(void **state)
{
	struct crypto_sha256 ctx, copy;
	uint8_t half[CRYPTO_SHA256_BYTES], whole[CRYPTO_SHA256_BYTES], out[CRYPTO_SHA256_BYTES];

	(void)state;
	crypto_sha256_init(&ctx);
	crypto_sha256_update(&ctx, "ab", 2);
	copy = ctx;
	crypto_sha256_final(&copy, half);
	crypto_sha256_update(&ctx, "c", 1);
	crypto_sha256_final(&ctx, whole);
	crypto_sha256("ab", 2, out);
	assert_memory_equal(half, out, sizeof(out));
	crypto_sha256("abc", 3, out);
	assert_memory_equal(whole, out, sizeof(out));
}

static void sha1_agrees_with_the_standard(void **state)
{
	uint8_t out[CRYPTO_SHA1_BYTES];

	(void)state;
	crypto_sha1("abc", 3, out);
	assert_hex(out, sizeof(out), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
static void hmac_sha256_agrees_with_rfc_4231(void **state)
{
	static const char question[] = "what do ya want for nothing?";
	static const char large[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	uint8_t key[131], out[CRYPTO_SHA256_BYTES];

	(void)state;
	repeat(key, 0x0b, 20);
	crypto_hmac_sha256(key, 20, "Hi There", 8, out);
	assert_hex(out, sizeof(out),
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	crypto_hmac_sha256("Jefe", 4, question, sizeof(question) - 1, out);
	assert_hex(out, sizeof(out),
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	repeat(key, 0xaa, 131);
	crypto_hmac_sha256(key, 131, large, sizeof(large) - 1, out);
	assert_hex(out, sizeof(out),
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 2202, cases 1 and 2. */
static void hmac_sha1_agrees_with_rfc_2202(void **state)
{
	static const char question[] = "what do ya want for nothing?";
	uint8_t key[20], out[CRYPTO_SHA1_BYTES];

	(void)state;
	repeat(key, 0x0b, sizeof(key));
	crypto_hmac_sha1(key, sizeof(key), "Hi There", 8, out);
	assert_hex(out, sizeof(out), "b617318655057264e28bc0b6fb378c8ef146be00");
	crypto_hmac_sha1("Jefe", 4, question, sizeof(question) - 1, out);
	assert_hex(out, sizeof(out), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

/* RFC 5869, cases 1 to 3. */
static void hkdf_agrees_with_rfc_5869(void **state)
{
	uint8_t ikm[80], salt[80], info[80], out[82];

	(void)state;
	repeat(ikm, 0x0b, 22);
	count_up(salt, 0x00, 13);
	count_up(info, 0xf0, 10);
	crypto_hkdf_sha256(salt, 13, ikm, 22, info, 10, out, 42);
	assert_hex(out, 42,
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887"
		"185865");
	count_up(ikm, 0x00, 80);
	count_up(salt, 0x60, 80);
	count_up(info, 0xb0, 80);
	crypto_hkdf_sha256(salt, 80, ikm, 80, info, 80, out, 82);
	assert_hex(out, 82,
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271"
		"cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d"
		"87");
	repeat(ikm, 0x0b, 22);
	crypto_hkdf_sha256(NULL, 0, ikm, 22, NULL, 0, out, 42);
	assert_hex(out, 42,
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b6"
		"1a96c8");
}

static void random_bytes_fill_all_and_differ(void **state)
{
	uint8_t a[64] = {0}, b[64] = {0};

	(void)state;
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 32, (uint8_t[32]){0}, 32);
	crypto_random(a, 0);
}

static void compares_bytes_and_secrets(void **state)
{
	(void)state;
	assert_true(crypto_equal("abcd", "abcd", 4));
	assert_false(crypto_equal("abcd", "abce", 4));
	assert_false(crypto_equal("abcd", "bbcd", 4));
	assert_true(crypto_equal("a", "b", 0));
	assert_true(crypto_secret_equal("secret", 6, "secret", 6));
	assert_false(crypto_secret_equal("secret", 5, "secret", 6));
	assert_false(crypto_secret_equal("", 0, "secret", 6));
	assert_false(crypto_secret_equal("secrex", 6, "secret", 6));
	assert_false(crypto_secret_equal("secret\0", 7, "secret", 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_agrees_with_the_standard),
		cmocka_unit_test(a_running_sha256_may_be_looked_at_half_way),
		cmocka_unit_test(sha1_agrees_with_the_standard),
		cmocka_unit_test(hmac_sha256_agrees_with_rfc_4231),
		cmocka_unit_test(hmac_sha1_agrees_with_rfc_2202),
		cmocka_unit_test(hkdf_agrees_with_rfc_5869),
		cmocka_unit_test(random_bytes_fill_all_and_differ),
		cmocka_unit_test(compares_bytes_and_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
