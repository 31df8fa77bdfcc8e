# pack_shaders.pl SPIRV...: the words of all these files, of each after their number, on standard output: first the lowest bytes
# of all, then the second ones and so on, since what is alike then compresses to less.
use strict;
use warnings;

my @words;
for my $file (@ARGV) {
    open my $in, '<:raw', $file or die "$file: $!\n";
    my @code = unpack 'V*', do { local $/; <$in> };
    push @words, scalar @code, @code;
}
binmode STDOUT;
for my $shift (0, 8, 16, 24) {
    print pack 'C*', map { $_ >> $shift & 255 } @words;
}
