/*
 * keyslots.c: the master key, wrapped. See keyslots.h.
 *
 * The file "keyslots", all numbers little-endian:
 *
 *      at  octets
 *       0       8  "FRANKKS1"
 *       8       4  count of slots, 1 to 16
 *      12       4  zero
 *      16      16  id of the store (random, for good)
 *      32     256  for each slot
 *     end-64   32  HMAC-SHA256 over all before
 *     end-32   32  SHA-256 over all before
 *
 * A slot:
 *       0       4  kind (enum keyslot_kind)
 *       4       4  zero
 *       8       8  made at, seconds since 1970
 *      16      32  salt
 *      48      12  nonce
 *      60      32  the master key, sealed by AES-256-GCM
 *      92      16  its tag
 *     108      20  zero
 *     128       4  passphrase: log2 N of scrypt; else zero
 *     132       4  passphrase: r
 *     136       4  passphrase: p
 *     140     116  zero
 *
 * Key of a slot: HKDF-SHA256(what the provider gave, salt, "frank key slot 1"); of a passphrase
 * slot, scrypt's output takes the place of what the provider gave. Associated data: the file's
 * first 32 octets without the count (as zero), and the slot's with the nonce, sealed key and tag as
 * zeros. Key of the HMAC: HKDF-SHA256(master key, store id, "frank key slots 1").
 *
 * The plain SHA-256 tells an accident from a wrong key; the HMAC tells a file that was put together
 * by somebody without the key. The file is written whole under another name, synced and renamed.
 */
#include "tokenstore/keyslots.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

struct head {
	uint8_t magic[8];
	uint32_t count;
	uint32_t zero;
	uint8_t store_id[STORE_ID];
};

struct keyslot {
	uint32_t kind;
	uint32_t zero;
	uint64_t made_at;
	uint8_t salt[SLOT_SALT];
	uint8_t nonce[SEAL_NONCE];
	uint8_t wrapped[MASTER_KEY];
	uint8_t tag[SEAL_TAG];
	uint8_t zeros[20];
	uint32_t scrypt[3];
	uint8_t more_zeros[116];
};
_Static_assert(sizeof(struct head) == KEYSLOTS_HEADER, "the head's layout is the format");
_Static_assert(sizeof(struct keyslot) == KEYSLOT_SIZE, "the slot's layout is the format");

static const uint8_t magic[8] = {'F', 'R', 'A', 'N', 'K', 'K', 'S', '1'};

enum keyslot_kind
keyslot_kind_by_name(const char *name)
{
	static const struct {
		const char *name;
		enum keyslot_kind kind;
	} kinds[] = {{"key-file", KEYSLOT_KEY_FILE}, {"credential", KEYSLOT_CREDENTIAL},
	    {"keyring", KEYSLOT_KEYRING}};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return kinds[i].kind;
	return 0;
}

/* What the wrapped key is bound to: the store, and everything in the slot that is not the sealing
 * itself. */
struct binding {
	struct head head;
	struct keyslot slot;
};

static void
bind_slot(const struct head *head, const struct keyslot *slot, struct binding *ret)
{
	ret->head = *head;
	ret->head.count = 0;
	ret->slot = *slot;
	memset(ret->slot.nonce, 0, sizeof(ret->slot.nonce));
	memset(ret->slot.wrapped, 0, sizeof(ret->slot.wrapped));
	memset(ret->slot.tag, 0, sizeof(ret->slot.tag));
}

static int
slot_key(const struct keyslot *slot, const struct secret *provider, uint8_t ret[SEAL_KEY])
{
	return seal_hkdf(secret_bytes(provider), secret_len(provider), slot->salt,
	    sizeof(slot->salt), "frank key slot 1", ret, SEAL_KEY);
}

static int
wrap(const struct head *head, struct keyslot *slot, const struct secret *provider,
    const uint8_t master[MASTER_KEY])
{
	uint8_t key[SEAL_KEY];
	struct binding b;
	int r = slot_key(slot, provider, key);

	bind_slot(head, slot, &b);
	if (r == 0)
		r = seal_encrypt(
		    key, slot->nonce, &b, sizeof(b), master, MASTER_KEY, slot->wrapped, slot->tag);
	mem_wipe(key, sizeof(key));
	return r;
}

static int
unwrap(const struct head *head, const struct keyslot *slot, const struct secret *provider,
    struct secret *master)
{
	uint8_t key[SEAL_KEY];
	struct binding b;
	int r = slot_key(slot, provider, key);

	bind_slot(head, slot, &b);
	if (r == 0)
		r = seal_decrypt(key, slot->nonce, &b, sizeof(b), slot->wrapped, MASTER_KEY,
		    secret_fill(master), slot->tag);
	mem_wipe(key, sizeof(key));
	return r;
}

static int
whole_mac(const uint8_t *master, const uint8_t store_id[STORE_ID], const void *bytes, size_t len,
    uint8_t ret[SEAL_HASH])
{
	uint8_t key[SEAL_KEY];
	int r = seal_hkdf(
	    master, MASTER_KEY, store_id, STORE_ID, "frank key slots 1", key, sizeof(key));

	if (r == 0)
		r = seal_hmac(key, bytes, len, ret);
	mem_wipe(key, sizeof(key));
	return r;
}

int
keyslots_create(enum keyslot_kind kind, const struct secret *provider,
    const uint8_t random[KEYSLOTS_RANDOM], uint64_t wall, struct buf *ret)
{
	const uint8_t *master = random, *id = master + MASTER_KEY, *salt = id + STORE_ID,
		      *nonce = salt + SLOT_SALT;
	struct keyslot slot = {.kind = htole32((uint32_t)kind), .made_at = htole64(wall)};
	struct head head = {.count = htole32(1)};
	uint8_t hash[SEAL_HASH];
	int r;

	if (secret_len(provider) < KEYSLOT_PROVIDER_MIN)
		return -EINVAL;
	memcpy(head.magic, magic, sizeof(head.magic));
	memcpy(head.store_id, id, STORE_ID);
	memcpy(slot.salt, salt, sizeof(slot.salt));
	memcpy(slot.nonce, nonce, sizeof(slot.nonce));
	r = wrap(&head, &slot, provider, master);
	if (r < 0)
		return r;
	(void)buf_append(ret, &head, sizeof(head));
	(void)buf_append(ret, &slot, sizeof(slot));
	if (ret->failed)
		return -ENOMEM;
	r = whole_mac(master, id, ret->data, ret->len, hash);
	if (r < 0)
		return r;
	(void)buf_append(ret, hash, sizeof(hash));
	if (ret->failed)
		return -ENOMEM;
	r = seal_sha256(ret->data, ret->len, NULL, 0, hash);
	if (r < 0)
		return r;
	return buf_append(ret, hash, sizeof(hash));
}

/* Is this a sound file, whoever has the key? */
static enum keyslots_verdict
check_file(const uint8_t *bytes, size_t len, struct head *ret_head)
{
	uint8_t hash[SEAL_HASH];
	uint32_t count;

	if (len < KEYSLOTS_HEADER + KEYSLOT_SIZE + KEYSLOTS_TRAILER || len > KEYSLOTS_FILE_MAX)
		return KEYSLOTS_DAMAGED;
	if (seal_sha256(bytes, len - SEAL_HASH, NULL, 0, hash) < 0)
		return KEYSLOTS_FAILED;
	if (memcmp(hash, bytes + len - SEAL_HASH, SEAL_HASH) != 0)
		return KEYSLOTS_DAMAGED;
	memcpy(ret_head, bytes, sizeof(*ret_head));
	if (memcmp(ret_head->magic, magic, sizeof(magic)) != 0)
		return memcmp(ret_head->magic, magic, sizeof(magic) - 1) == 0 ? KEYSLOTS_NEWER
									      : KEYSLOTS_DAMAGED;
	count = le32toh(ret_head->count);
	if (count < 1 || count > KEYSLOTS_MAX ||
	    len != KEYSLOTS_HEADER + count * KEYSLOT_SIZE + KEYSLOTS_TRAILER)
		return KEYSLOTS_DAMAGED;
	return KEYSLOTS_GOOD;
}

enum keyslots_verdict
keyslots_open(const uint8_t *bytes, size_t len, const struct secret *provider,
    struct secret **ret_master, uint8_t ret_store_id[STORE_ID])
{
	CLEANUP_SECRET struct secret *master = NULL;
	enum keyslots_verdict verdict;
	uint8_t mac[SEAL_HASH];
	struct head head;
	int r = -EBADMSG;

	verdict = check_file(bytes, len, &head);
	if (verdict != KEYSLOTS_GOOD)
		return verdict;
	master = secret_new_zero(MASTER_KEY);
	if (master == NULL)
		return KEYSLOTS_FAILED;
	for (size_t i = 0; i < le32toh(head.count) && r == -EBADMSG; i++) {
		struct keyslot slot;

		memcpy(&slot, bytes + KEYSLOTS_HEADER + i * KEYSLOT_SIZE, sizeof(slot));
		if (le32toh(slot.kind) != KEYSLOT_PASSPHRASE)
			r = unwrap(&head, &slot, provider, master);
	}
	if (r < 0)
		return r == -EBADMSG ? KEYSLOTS_WRONG_KEY : KEYSLOTS_FAILED;
	if (whole_mac(secret_bytes(master), head.store_id, bytes, len - KEYSLOTS_TRAILER, mac) < 0)
		return KEYSLOTS_FAILED;
	if (!mem_equal_ct(mac, bytes + len - KEYSLOTS_TRAILER, SEAL_HASH))
		return KEYSLOTS_FORGED;
	*ret_master = TAKE_PTR(master);
	memcpy(ret_store_id, head.store_id, STORE_ID);
	return KEYSLOTS_GOOD;
}
