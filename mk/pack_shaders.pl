# pack_shaders.pl NAME.spv...: the words of all these shaders on standard output, of each after their number, and then those of
# its other compilation, NAME.subgroups.spv, or 0 where it is the same. First come the lowest bytes of all, then the second ones and
# so on, since what is alike then compresses to less.
use strict;
use warnings;

sub words_of {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "$file: $!\n";
    return do { local $/; <$in> };
}

my $all = '';
for my $file (@ARGV) {
    my ($plain, $subgroups) = map { words_of($_) } $file, $file =~ s/\.spv$/.subgroups.spv/r;
    $subgroups = '' if $subgroups eq $plain;
    $all .= pack('V', length($_) / 4) . $_ for $plain, $subgroups;
}
binmode STDOUT;
my @words = unpack 'V*', $all;
for my $shift (0, 8, 16, 24) {
    print pack 'C*', map { $_ >> $shift & 255 } @words;
}
