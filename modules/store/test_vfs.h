/* test_vfs.h -- a disk that fails: an SQLite VFS over the real one.  For
 * test_store_power.c.  One at a time in a process; any thread. */
#ifndef STORE_TEST_VFS_H
#define STORE_TEST_VFS_H

#include <stdint.h>

#define TEST_VFS "mcx-test"

void test_vfs_install(void);
/* Power fails at the n-th write, sync or truncation from now (0: never): that
 * one and all after it fail. */
void test_vfs_cut_after(long n);
/* So many octets may still be written (-1: any number). */
void test_vfs_room(long octets);
/* Everything is closed: leaves on the disk what was synced, and of what was
 * written since a random part, some of it torn. */
void test_vfs_power_back(uint32_t seed);
/* Operations seen since test_vfs_cut_after(). */
long test_vfs_count(void);

#endif /* STORE_TEST_VFS_H */
