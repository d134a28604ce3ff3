export const serveFeed = async (_: unknown): Promise<void> => {}
