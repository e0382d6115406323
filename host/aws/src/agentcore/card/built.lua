-- Says that an index is whole, unless it was lost since its building began. KEYS: index. ARGV: mark of the building, keep in ms.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], 0, '\0ready:' .. history())
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
