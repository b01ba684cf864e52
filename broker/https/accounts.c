/* accounts.c: see accounts.h. Accounts without a file of their own, nearly all, are not kept. */
#include "broker/https/accounts.h"

#include <errno.h>
#include <string.h>

struct account {
	char *name;
	struct buf ca;
	bool broken;
};

struct set {
	struct account *items;
	size_t count;
};

struct accounts {
	struct set now, next;
};

static void
set_clear(struct set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].name);
		buf_free(&s->items[i].ca);
	}
	free(s->items);
	*s = (struct set){0};
}

struct accounts *
accounts_new(void)
{
	return calloc(1, sizeof(struct accounts));
}

struct accounts *
accounts_free(struct accounts *a)
{
	if (a != NULL) {
		set_clear(&a->now);
		set_clear(&a->next);
		free(a);
	}
	return NULL;
}

void
accounts_begin(struct accounts *a)
{
	set_clear(&a->next);
}

/* pread: the descriptor's offset is shared with the other roles that main gave it to. */
static int
read_whole(int fd, struct buf *b)
{
	for (;;) {
		ssize_t n;
		int r = buf_reserve(b, 4096);

		if (r < 0)
			return r;
		n = pread(fd, b->data + b->len, 4096, (off_t)b->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return b->len > 0 ? 0 : -ENODATA;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
}

int
accounts_add(struct accounts *a, const char *name, int ca_fd)
{
	struct account *items = reallocarray(a->next.items, a->next.count + 1, sizeof(*items)),
		       *new;
	int r;

	if (items == NULL)
		return -ENOMEM;
	a->next.items = items;
	new = &items[a->next.count];
	*new = (struct account){.name = strdup(name), .ca = BUF_INIT(ACCOUNTS_CA_MAX)};
	if (new->name == NULL)
		return -ENOMEM;
	a->next.count++;
	r = read_whole(ca_fd, &new->ca);
	new->broken = r < 0;
	return r;
}

void
accounts_end(struct accounts *a)
{
	set_clear(&a->now);
	a->now = a->next;
	a->next = (struct set){0};
}

int
accounts_ca(const struct accounts *a, const char *name, const struct buf **ret)
{
	*ret = NULL;
	for (size_t i = 0; i < a->now.count; i++) {
		if (strcmp(a->now.items[i].name, name) == 0) {
			*ret = &a->now.items[i].ca;
			return a->now.items[i].broken ? -EBADF : 0;
		}
	}
	return 0;
}
