/** Blocks of ports below Linux's ephemeral ones (32768 on), which outgoing connections take. A run of the tests has one. */
export const BLOCK_SIZE = 5_000

/** The first ports of the blocks. A run listens on the first port of its block, so that no other run takes the block. */
export const BLOCKS = [0, 1, 2, 3].map((index) => 10_240 + index * BLOCK_SIZE)
