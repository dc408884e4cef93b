/** What the servers of a soak are certified for, whatever address they are dialled at. */
export const serverName = "soak.weft.test";
